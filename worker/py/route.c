/* Reads the route's name where the application left it. SPDX-License-Identifier: MIT */
#include "worker/py/route.h"

#include "worker/py/errors.h"

void
route_fix(struct call *c)
{
	PyObject *o = PyDict_GetItemWithError(c->env, c->thread->st->keys[KEY_shoal_route]);
	Py_ssize_t n = 0;
	const char *p;

	if (LIKELY(o == NULL)) {
		if (UNLIKELY(PyErr_Occurred() != NULL))
			PyErr_Clear();
		return;
	}
	/* What a failed application said before it is no name of what went out. */
	c->req->route_n = 0;
	if (o == Py_None)
		return;
	p = PyUnicode_Check(o) ? PyUnicode_AsUTF8AndSize(o, &n) : NULL;
	if (p != NULL) {
		req_name_route(c->req, p, (size_t)n);
		return;
	}
	PyErr_Clear();
	errors_log_mistake("shoal.route is no route's name", c->req,
	    "environ['shoal.route'] must be a str that can be written as UTF-8; the "
	    "request "
	    "is counted under no route");
}
