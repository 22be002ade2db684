/* The mold's Python side: warm-up, what makes forks unsafe, and the interpreter's forks.
 * SPDX-License-Identifier: MIT */
#include "worker/py/mold.h"

#include "common/conf_compat.h"
#include "worker/mold.h"
#include "worker/py/files.h"
#include "worker/py/load.h"

static void
on_second(void)
{
	files_tell(state_get());
}

static PyObject *
warm_up(struct state *st)
{
	const struct heritage *h = &st->worker->heritage;
	PyObject *paths = load_list(&st->conf->warm_up);

	if (paths == NULL)
		return NULL;
	return state_call_boot(st, "warm_up", "(ONOs)", st->app, paths, st->template,
	    h->n_listeners > 0 ? h->listeners[0].name : "");
}

/* The descriptors a mold has from its master. The other places are free by now, and may
 * have been taken by the application. */
static PyObject *
own_descriptors(const struct heritage *h)
{
	static const int places[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO,
	    HERITAGE_CHANNEL_FD, HERITAGE_ACCESS_FD, HERITAGE_ERROR_FD, HERITAGE_TRACE_FD};
	size_t n = ARRAY_LEN(places) + h->n_listeners;
	PyObject *list = PyList_New((Py_ssize_t)n);

	for (size_t i = 0; i < n && list != NULL; i++) {
		PyObject *fd = PyLong_FromLong(
		    i < ARRAY_LEN(places) ? places[i]
					  : h->listeners[i - ARRAY_LEN(places)].fd);

		if (fd == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, (Py_ssize_t)i, fd);
	}
	return list;
}

int
mold_run(struct state *st)
{
	const char *green = conf_compat_green(st->conf), *text;
	struct mold_ops ops = {PyOS_BeforeFork, PyOS_AfterFork_Parent, PyOS_AfterFork_Child,
	    st->conf->reload ? on_second : NULL};
	PyObject *done = warm_up(st), *own, *why;
	Py_ssize_t n;
	bool wanted;

	if (done == NULL)
		return -1;
	Py_DECREF(done);
	if (st->conf->reload)
		files_tell(st); /* what was imported by the first requests */
	own = own_descriptors(&st->worker->heritage);
	if (own == NULL)
		return -1;
	/* Who asks for it gets new hubs after the fork. */
	wanted = strcmp(st->conf->preload, "on") == 0;
	why = state_call_boot(st, "describe_danger", "(zN)", wanted ? NULL : green, own);
	text = why != NULL ? PyUnicode_AsUTF8AndSize(why, &n) : NULL;
	if (text == NULL)
		return -1;
	mold_serve(st->worker, &ops, (struct str){text, (size_t)n});
	Py_DECREF(why);
	done = state_call_boot(st, "green_after_fork", "(z)", green);
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}
