/* Starts CPython inside shoal-worker so that it finds what the chosen interpreter would.
 * SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "worker/py/interp.h"

#include <stdio.h>

static int
status_err(struct err *e, const char *what, PyStatus status)
{
	return err_set(
	    e, "%s: %s", what, status.err_msg != NULL ? status.err_msg : "failed");
}

int
interp_check_version(struct err *e)
{
	const char *version = Py_GetVersion();
	int major, minor;

	if (sscanf(version, "%d.%d", &major, &minor) != 2)
		return err_set(
		    e, "cannot tell the version of this Python (%.60s)", version);
	if (major == PY_MAJOR_VERSION && minor == PY_MINOR_VERSION)
		return 0;
	return err_set(e,
	    "this plugin is for CPython %d.%d, but the interpreter is %d.%d; build shoal "
	    "for it "
	    "(SHOAL_PYTHONS) or choose another with --python",
	    PY_MAJOR_VERSION, PY_MINOR_VERSION, major, minor);
}

static int
preinit(struct err *e)
{
	const char *utf8 = getenv("PYTHONUTF8");
	PyPreConfig pre;
	PyStatus status;

	PyPreConfig_InitPythonConfig(&pre);
	pre.parse_argv = 0;
	pre.utf8_mode = utf8 != NULL && strcmp(utf8, "0") == 0 ? 0 : 1;
	status = Py_PreInitialize(&pre);
	return PyStatus_Exception(status)
		   ? status_err(e, "Python could not be pre-initialized", status)
		   : 0;
}

static PyStatus
configure(PyConfig *config, const struct heritage *h)
{
	char *argv[] = {h->conf.app};
	PyStatus status;

	config->install_signal_handlers = 0;
	config->parse_argv = 0;
	/* Finding the prefix and a venv's site-packages starts from here; the symbolic link
	 * of a venv must not be resolved. `home` would be fatal with a venv. */
	status = PyConfig_SetBytesString(config, &config->executable, h->python);
	if (PyStatus_Exception(status))
		return status;
	status = PyConfig_SetBytesString(config, &config->program_name, h->python);
	if (PyStatus_Exception(status))
		return status;
	return PyConfig_SetBytesArgv(config, 1, argv);
}

int
interp_start(const struct heritage *h, struct err *e)
{
	PyConfig config;
	PyStatus status;

	if (preinit(e) < 0)
		return -1;
	PyConfig_InitPythonConfig(&config);
	status = configure(&config, h);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(&config);
	PyConfig_Clear(&config);
	if (PyStatus_Exception(status))
		return status_err(e, "Python could not be initialized", status);
	return 0;
}
