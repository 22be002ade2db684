/* Embedded: dlopen libpython and the plugin. Exec: become the python executable, which
 * imports the same plugin. SPDX-License-Identifier: MIT */
#include "worker/launch.h"

#include "worker/py/plugin.h"
#include "worker/worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

/* Loads the plugin by its path: its name is not one the import system would look for. */
static const char boot[] =
    "import sys\n"
    "from importlib.machinery import ExtensionFileLoader\n"
    "from importlib.util import module_from_spec, spec_from_file_location\n"
    "path = sys.argv[1]\n"
    "spec = spec_from_file_location('_shoal', path, loader=ExtensionFileLoader('_shoal', "
    "path))\n"
    "module = sys.modules['_shoal'] = module_from_spec(spec)\n"
    "spec.loader.exec_module(module)\n"
    "module.run()\n";

static void
on_signal(int signo)
{
	(void)signo; /* the master speaks through its channel */
}

void
launch_own_signals(void)
{
	static const int ours[] = {SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	/* A handler and not SIG_IGN: the application's children must not inherit it. */
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(ours); i++)
		sigaction(ours[i], &sa, NULL);
	/* Asked for a trace before it can give one, a worker must not die of it. */
	sigaction(HERITAGE_TRACE_SIGNAL, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static _Noreturn void
exec_python(const struct heritage *h)
{
	const char *utf8 = getenv("PYTHONUTF8");
	char *argv[8];
	size_t n = 0;
	struct err e;
	struct worker w = {0};

	argv[n++] = (char *)h->python;
	if (utf8 == NULL || strcmp(utf8, "0") != 0) {
		argv[n++] = (char *)"-X";
		argv[n++] = (char *)"utf8";
	}
	argv[n++] = (char *)"-c";
	argv[n++] = (char *)boot;
	argv[n++] = (char *)h->plugin;
	argv[n] = NULL;
	execv(h->python, argv);
	err_errno(&e, "exec of the interpreter %s", h->python);
	worker_fail(&w, str_of(e.text));
}

/* The plugin's description, checked as far as it can be without Python. */
static const struct plugin *
open_plugin(const char *path, struct err *e)
{
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct plugin *p;

	if (so == NULL) {
		err_set(e, "plugin: %s", dlerror());
		return NULL;
	}
	p = dlsym(so, PLUGIN_SYMBOL);
	if (p == NULL) {
		err_set(e, "%s is no plugin of shoal", path);
		return NULL;
	}
	if (p->abi != PLUGIN_ABI) {
		err_set(e, "%s is of another version of shoal (interface %u, expected %u)",
		    path, p->abi, PLUGIN_ABI);
		return NULL;
	}
	return p;
}

static _Noreturn void
embed_python(void)
{
	static struct worker w; /* lives as long as the process */
	const struct plugin *p;
	struct err e = {0};

	if (worker_open(&w, &e) < 0)
		worker_fail(&w, str_of(e.text));
	/* Extension modules find the interpreter's symbols only in the global scope. */
	if (dlopen(w.heritage.libpython, RTLD_NOW | RTLD_GLOBAL) == NULL) {
		err_set(&e, "libpython: %s", dlerror());
		worker_fail(&w, str_of(e.text));
	}
	p = open_plugin(w.heritage.plugin, &e);
	if (p == NULL)
		worker_fail(&w, str_of(e.text));
	p->run_embedded(&w);
}

void
launch_run(void)
{
	struct heritage h = {0};
	struct err e = {0};

	if (heritage_read(&h, HERITAGE_CONF_FD, &e) < 0) {
		fprintf(stderr, "shoal-worker: %s (it is started by shoal, not by hand)\n",
		    e.text);
		_exit(2);
	}
	launch_own_signals();
	if (h.libpython[0] == '\0')
		exec_python(&h);
	heritage_finish(&h);
	embed_python();
}
