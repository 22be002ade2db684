/* Hands a gunicorn.conf.py's hooks their settings and their log. The rest is gunicorn.py.
 * SPDX-License-Identifier: MIT */
#include "worker/py/gunicorn.h"

#include "common/conf_option.h"
#include "common/log.h"
#include "worker/py/errors.h"
#include "worker/py/load.h"

/* write(level, text): to the error log. */
static PyObject *
on_write(PyObject *self, PyObject *args)
{
	const char *text;
	Py_ssize_t n;
	int level;
	(void)self;

	if (!PyArg_ParseTuple(args, "is#", &level, &text, &n))
		return NULL;
	if (memchr(text, '\n', (size_t)n) != NULL)
		log_text(
		    (enum log_level)level, "hooks", "log", (struct str){text, (size_t)n});
	else
		log_event((enum log_level)level, "hooks", "log", "text=\"%s\"", text);
	Py_RETURN_NONE;
}

static PyMethodDef write_def = {"write", on_write, METH_VARARGS, "To the error log."};

/* As gunicorn's settings are: durations in seconds. */
static PyObject *
option_value(const struct conf *c, enum conf_id id)
{
	const void *member = conf_option_value(c, id);
	int64_t number;

	switch (conf_options[id].type) {
	case CONF_T_BOOL:
		return PyBool_FromLong(*(const bool *)member);
	case CONF_T_STR:
		return load_text(*(const char *const *)member);
	case CONF_T_LIST:
		return load_list(member);
	case CONF_T_MS:
		number = *(const int64_t *)member;
		if (number % 1000 != 0)
			return PyFloat_FromDouble((double)number / 1000);
		return PyLong_FromLongLong(number / 1000);
	default:
		return PyLong_FromLongLong(*(const int64_t *)member);
	}
}

static int
set_new(PyObject *dict, const char *key, PyObject *value)
{
	int rc = value == NULL ? -1 : PyDict_SetItemString(dict, key, value);

	Py_XDECREF(value);
	return rc;
}

static PyObject *
make_options(const struct conf *c)
{
	PyObject *dict = PyDict_New();
	char key[CONF_KEY_MAX];
	int rc = dict == NULL ? -1 : set_new(dict, "app", load_text(c->app));

	for (unsigned i = 0; i < CONF_COUNT && rc == 0; i++)
		rc = set_new(dict, conf_option_key((enum conf_id)i, key),
		    option_value(c, (enum conf_id)i));
	if (rc != 0)
		Py_CLEAR(dict);
	return dict;
}

int
gunicorn_configure(struct state *st)
{
	const struct conf *c = st->conf;
	PyObject *done;

	if (!c->hooks)
		return 0;
	done = state_call_boot(st, "hooks_configure", "(NNN)", load_text(c->config_file),
	    make_options(c), PyCFunction_New(&write_def, NULL));
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}

PyObject *
gunicorn_number(const struct state *st)
{
	const struct heritage *h = &st->worker->heritage;

	if (h->role == ROLE_MOLD)
		Py_RETURN_NONE;
	return Py_BuildValue("(III)", h->slot, h->epoch, h->workers);
}

int
gunicorn_start(struct state *st, bool forked)
{
	PyObject *app, *context;

	if (!st->conf->hooks)
		return 0;
	if (forked)
		app = state_call_boot(
		    st, "hooks_start", "(ON)", st->app, gunicorn_number(st));
	else
		app = state_call_boot(st, "hooks_start", "(OO)", st->app, Py_None);
	if (app == NULL)
		return -1;
	Py_SETREF(st->app, app);
	/* What hooks put into context variables is there for requests, too. */
	context = PyContext_CopyCurrent();
	if (context == NULL)
		return -1;
	Py_SETREF(st->context, context);
	return 0;
}

void
gunicorn_end(struct state *st)
{
	PyObject *done;

	if (!st->conf->hooks)
		return;
	done = state_call_boot(st, "hooks_end", "()");
	if (done == NULL)
		errors_log_pending("worker_exit failed", NULL);
	Py_XDECREF(done);
}
