/* Reads the account's name where the application left it. SPDX-License-Identifier: MIT */
#include "worker/py/bill.h"

#include "worker/net/app_ops.h"
#include "worker/py/errors.h"

#include <strings.h>

#define FIELD_NAME "X-Shoal-Account"

void
bill_reset(struct call *c)
{
	c->req->account_n = 0;
}

bool
bill_is_field(struct str name)
{
	return name.n == sizeof(FIELD_NAME) - 1 &&
	       strncasecmp(name.p, FIELD_NAME, name.n) == 0;
}

void
bill_field(struct call *c, struct str value)
{
	req_bill(c->req, value.p, value.n);
}

/* Borrowed; NULL: it is not there. */
static PyObject *
word(const struct call *c)
{
	PyObject *o =
	    PyDict_GetItemWithError(c->env, c->thread->st->keys[KEY_shoal_account]);

	if (UNLIKELY(o == NULL && PyErr_Occurred()))
		PyErr_Clear();
	return o;
}

void
bill_fix(struct call *c)
{
	PyObject *o = word(c);
	Py_ssize_t n = 0;
	const char *p;

	if (LIKELY(o == NULL))
		return;
	Py_INCREF(o);
	Py_XSETREF(c->account, o);
	if (o == Py_None)
		return;
	p = PyUnicode_Check(o) ? PyUnicode_AsUTF8AndSize(o, &n) : NULL;
	if (p != NULL) {
		if (n > 0)
			req_bill(c->req, p, (size_t)n);
		return;
	}
	PyErr_Clear();
	errors_log_mistake("shoal.account is no account's name", c->req,
	    "environ['shoal.account'] must be a str that can be written as UTF-8; "
	    "the request is billed as if it were not set");
}

void
bill_check(struct call *c)
{
	PyObject *o = word(c);

	if (LIKELY(o == c->account))
		return;
	if (o != NULL && c->account != NULL && PyUnicode_Check(o) &&
	    PyUnicode_Check(c->account) && PyUnicode_Compare(o, c->account) == 0)
		return;
	atomic_fetch_add_explicit(&app_counts.late_accounts, 1, memory_order_relaxed);
	errors_log_mistake("shoal.account changed too late", c->req,
	    "environ['shoal.account'] was changed after the response head was made; the "
	    "request stays billed to who was named then");
}
