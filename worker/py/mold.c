/* The mold's Python side: warm-up, what makes forks unsafe, and the interpreter's forks.
 * SPDX-License-Identifier: MIT */
#include "worker/py/mold.h"

#include "common/conf_compat.h"
#include "common/log.h"
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

/* Whether the operator wants forks all the same. */
static struct str
judge(struct state *st, struct str why)
{
	if (why.n == 0 || strcmp(st->conf->preload, "on") != 0)
		return why;
	log_warn("mold", "workers are forked in spite of what APP left behind",
	    "reason=\"%.*s\"", (int)why.n, why.p);
	return STR("");
}

int
mold_run(struct state *st)
{
	const char *green = conf_compat_green(st->conf), *text;
	const struct heritage *h = &st->worker->heritage;
	struct mold_ops ops = {PyOS_BeforeFork, PyOS_AfterFork_Parent, PyOS_AfterFork_Child,
	    st->conf->reload ? on_second : NULL};
	PyObject *done = warm_up(st), *why;
	Py_ssize_t n;

	if (done == NULL)
		return -1;
	Py_DECREF(done);
	if (st->conf->reload)
		files_tell(st); /* what was imported by the first requests */
	why = state_call_boot(st, "describe_danger", "(zi)", green,
	    HERITAGE_FIRST_LISTENER_FD + (int)h->n_listeners);
	text = why != NULL ? PyUnicode_AsUTF8AndSize(why, &n) : NULL;
	if (text == NULL)
		return -1;
	mold_serve(st->worker, &ops, judge(st, (struct str){text, (size_t)n}));
	Py_DECREF(why);
	done = state_call_boot(st, "green_after_fork", "(z)", green);
	Py_XDECREF(done);
	return done == NULL ? -1 : 0;
}
