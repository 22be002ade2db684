/* Asks an interpreter what it is: one short-lived process, bounded in time and output.
 * SPDX-License-Identifier: MIT */
#include "master/probe.h"

#include "master/clock.h"
#include "master/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define OUTPUT_MAX 16384
#define MARK "shoal-probe "

/*
 * -I keeps the current directory and PYTHON* out, -S the site's own start-up code. A
 * libpython in the maps is the one this executable runs on; an executable without one
 * contains Python itself. Only directories of the same installation are searched for a
 * shared library then: one of another installation would start with the wrong modules.
 */
static const char script[] =
    "import json, os, sys, sysconfig\n"
    "var = sysconfig.get_config_var\n"
    "with open('/proc/self/maps') as maps:\n"
    "    lines = [line.rstrip('\\n').split(None, 5) for line in maps]\n"
    "used = [f[5] for f in lines if len(f) > 5 and '/libpython' in f[5]]\n"
    "lib = var('LIBDIR') or ''\n"
    "dirs = [lib, os.path.join(lib, var('MULTIARCH') or ''),\n"
    "        os.path.join(sys.base_prefix, 'lib')]\n"
    "short = 'libpython%d.%d.so' % sys.version_info[:2]\n"
    "names = [n for n in (var('INSTSONAME'), short + '.1.0', short) if n and '.so' in n]\n"
    "found = [p for p in (os.path.join(d, n) for d in dirs for n in names)\n"
    "         if os.path.isabs(p) and os.path.exists(p)]\n"
    "abi = 't' if var('Py_GIL_DISABLED') else 'd' if hasattr(sys, 'gettotalrefcount') else "
    "''\n"
    "print('" MARK "' + json.dumps({\n"
    "    'executable': sys.executable, 'implementation': sys.implementation.name,\n"
    "    'major': sys.version_info[0], 'minor': sys.version_info[1],\n"
    "    'version': '%d.%d.%d' % sys.version_info[:3], 'abi': abi, 'static': not used,\n"
    "    'libpython': (used + found + [''])[0]}))\n";

static _Noreturn void
run_child(const char *python, const struct privs *privs, char **env, int out)
{
	char *argv[] = {
	    (char *)python, (char *)"-I", (char *)"-S", (char *)"-c", (char *)script, NULL};
	int null = open("/dev/null", O_RDONLY);
	struct err e;

	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	signal(SIGPIPE, SIG_DFL);
	if (privs_apply(privs, &e) < 0) {
		dprintf(STDERR_FILENO, "%s\n", e.text);
		_exit(127);
	}
	execve(python, argv, env);
	dprintf(STDERR_FILENO, "%s\n", strerror(errno));
	_exit(127);
}

/* Everything up to end of file; what does not fit is read and dropped. False: too late. */
static bool
read_all(int fd, char *buf, size_t max, int timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;
	size_t n = 0;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		char spill[512];
		int64_t left = deadline - clock_ms();
		bool full = n == max - 1;
		ssize_t got;

		if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
			break;
		if (p.revents == 0)
			continue;
		got = read(fd, full ? spill : buf + n, full ? sizeof(spill) : max - 1 - n);
		if (got <= 0) {
			buf[n] = '\0';
			return got == 0;
		}
		n += full ? 0 : (size_t)got;
	}
	buf[n] = '\0';
	return false;
}

/* What the interpreter said last: usually the name of the exception. */
static const char *
last_line(char *text)
{
	size_t n = strlen(text);
	const char *nl;

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	nl = strrchr(text, '\n');
	return n == 0 ? "it printed nothing" : nl ? nl + 1 : text;
}

static json_t *
parse_answer(char *text, struct err *e)
{
	char *mark = strstr(text, MARK);
	json_t *answer;

	if (mark == NULL) {
		err_set(e, "%s", last_line(text));
		return NULL;
	}
	mark += strlen(MARK);
	mark[strcspn(mark, "\n")] = '\0';
	answer = json_loads(mark, JSON_REJECT_DUPLICATES, NULL);
	if (answer == NULL)
		err_set(e, "its answer makes no sense: %s", mark);
	return answer;
}

json_t *
probe_run(const char *python, const struct privs *privs, char **env, int timeout_ms,
    struct err *e)
{
	char text[OUTPUT_MAX];
	int fds[2];
	bool in_time;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0) {
		err_errno(e, "pipe");
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		run_child(python, privs, env, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		err_errno(e, "fork");
		close(fds[0]);
		return NULL;
	}
	in_time = read_all(fds[0], text, sizeof(text), timeout_ms);
	close(fds[0]);
	if (!in_time)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (!in_time) {
		err_set(e, "it did not answer within %d seconds", timeout_ms / 1000);
		return NULL;
	}
	return parse_answer(text, e);
}
