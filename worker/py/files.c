/* With --reload: tells the master which source files this process has loaded.
 * SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "worker/py/files.h"

#include "common/msg.h"
#include "worker/py/errors.h"

#include <errno.h>

PyObject *
files_send(PyObject *module, PyObject *lines)
{
	char *p;
	Py_ssize_t n;

	(void)module;
	if (PyBytes_AsStringAndSize(lines, &p, &n) < 0)
		return NULL;
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_FILES, p, (size_t)n, NULL, 0) == 0)
		Py_RETURN_TRUE;
	/* Without a master nobody wants to know any more. */
	return PyBool_FromLong(errno != EAGAIN);
}

void
files_tell(struct state *st)
{
	PyObject *done = state_call_boot(st, "tell_files", "(O)", st->send_files);

	if (done == NULL)
		errors_log_pending("loaded files could not be listed", NULL);
	Py_XDECREF(done);
}

int
files_start(struct state *st)
{
	PyObject *done = state_call_boot(st, "start_telling", "(O)", st->send_files);

	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}
