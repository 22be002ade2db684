/* Settings from a gunicorn.conf.py: runs the interpreter, reads its answer, maps names.
 * SPDX-License-Identifier: MIT */
#include "common/conf_pyfile.h"

#include "common/conf_compat.h"
#include "common/conf_file.h"
#include "common/conf_option.h"
#include "common/conf_pyfile_script.h"
#include "common/conf_set.h"
#include "common/strlist.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

/* The process's standard output is the write end of `answer`. Returns its pid or -1. */
static pid_t
start_python(const char *python, const char *path, int *answer, struct err *e)
{
	char option[] = "-c";
	char *argv[] = {
	    (char *)python, option, (char *)CONF_PYFILE_SCRIPT, (char *)path, NULL};
	posix_spawn_file_actions_t actions;
	int fds[2];
	pid_t pid;
	int rc;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return err_errno(e, "pipe");
	posix_spawn_file_actions_init(&actions);
	rc = posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnp(&pid, python, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (rc != 0) {
		close(fds[0]);
		return err_set(
		    e, "%s: cannot be run to evaluate %s: %s", python, path, strerror(rc));
	}
	*answer = fds[0];
	return pid;
}

/* Reads until the process closes its end; at most `max` bytes, at most so long. */
static int
read_answer(int fd, char *buf, size_t max, size_t *n, struct err *e)
{
	int64_t deadline = now_ms() + CONF_PYFILE_TIMEOUT_MS;

	for (*n = 0;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		ssize_t got;

		if (left <= 0)
			return err_set(
			    e, "not evaluated within %d s", CONF_PYFILE_TIMEOUT_MS / 1000);
		if (poll(&p, 1, (int)left) <= 0)
			continue;
		if (*n == max)
			return err_set(e, "settings larger than 1 MiB");
		got = read(fd, buf + *n, max - *n);
		if (got == 0)
			return 0;
		if (got < 0 && errno != EINTR)
			return err_errno(e, "read");
		*n += got > 0 ? (size_t)got : 0;
	}
}

static int
reap(pid_t pid, const char *path, struct err *e)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, "%s: waitpid", path);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(e, "config file %s: its interpreter died of signal %d", path,
		    WTERMSIG(status));
	return err_set(e, "config file %s: failed, see the traceback above", path);
}

/* The answer as JSON text in `buf`. */
static int
evaluate(const char *path, const char *python, char *buf, size_t *n, struct err *e)
{
	AUTO_FD int fd = -1;
	struct err why;
	pid_t pid;

	if (access(path, R_OK) != 0)
		return err_errno(e, "config file %s", path);
	pid = start_python(python, path, &fd, e);
	if (pid < 0)
		return -1;
	if (read_answer(fd, buf, CONF_FILE_MAX, n, &why) != 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return err_set(e, "config file %s: %s", path, why.text);
	}
	return reap(pid, path, e);
}

/* One evaluated file on its way into the configuration. */
struct pyfile {
	struct conf *c;
	const char *path;
	struct conf_source src;
	struct strlist unsupported, hooks, unknown; /* names, for one notice each */
};

static int
note_unknown(struct pyfile *f, const char *name, struct err *e)
{
	const char *near = conf_compat_nearest(str_of(name), true);
	size_t a = strlen(name), b = near ? strlen(near) : 0;
	char key[CONF_KEY_MAX];

	/* Any Python name is allowed in the file; only a slip of one or two letters in a
	 * long name is surely meant as a setting. */
	if (near != NULL && a >= 5 && (a > b ? a - b : b - a) <= 1) {
		enum conf_id id = conf_option_find(str_of(near));

		return err_set(e, "unknown setting \"%.64s\" (%s); did you mean \"%s\"?",
		    name, f->path, id != CONF_COUNT ? conf_option_key(id, key) : near);
	}
	return strlist_add(&f->unknown, name) == 0 ? 0 : err_set(e, "out of memory");
}

/* gunicorn's default for a switch asks for nothing. */
static bool
is_off(const json_t *value)
{
	return value != NULL &&
	       (json_is_null(value) || json_is_false(value) ||
		   (json_is_integer(value) && json_integer_value(value) == 0) ||
		   (json_is_array(value) && json_array_size(value) == 0));
}

static int
apply_app(struct pyfile *f, const json_t *value, struct err *e)
{
	char *copy;

	if (!json_is_string(value))
		return err_set(e, "wsgi_app (%s): expected a string", f->path);
	copy = strdup(json_string_value(value));
	if (copy == NULL)
		return err_set(e, "out of memory");
	free(f->c->app);
	f->c->app = copy;
	return 0;
}

/* Options whose keys are everyday words and not gunicorn's: in a Python file these are the
 * author's variables. gunicorn writes proc_name, raw_env and pidfile. */
static bool
is_everyday_word(enum conf_id id)
{
	static const enum conf_id words[] = {CONF_factory, CONF_middleware, CONF_env,
	    CONF_environ, CONF_compat, CONF_debug, CONF_python, CONF_venv, CONF_pidfile,
	    CONF_name};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (words[i] == id)
			return true;
	return false;
}

/* value NULL: something that JSON cannot say, a function or an object. */
static int
apply_setting(struct pyfile *f, const char *name, const json_t *value, struct err *e)
{
	enum conf_id id = conf_option_find(str_of(name));
	const struct compat *k = conf_compat_find_setting(str_of(name));
	struct strlist *list = &f->unsupported;

	if (k != NULL && k->unit != NULL) /* Spawning's, which reads no such file */
		k = NULL;
	if (strcmp(name, "wsgi_app") == 0 && value != NULL)
		return json_is_null(value) ? 0 : apply_app(f, value, e);
	if (k != NULL && k->kind == COMPAT_ALIAS)
		id = k->id;
	else if (is_everyday_word(id))
		return value != NULL ? strlist_add(&f->unknown, name) : 0;
	if (id != CONF_COUNT) {
		if (value == NULL)
			return err_set(e, "%s (%s): expected a plain value", name, f->path);
		return json_is_null(value) ? 0 : conf_set_json(f->c, id, value, &f->src, e);
	}
	if (is_off(value) || (k != NULL && k->kind == COMPAT_SILENT))
		return 0;
	if (k != NULL && k->kind == COMPAT_HOOK && k->called) {
		f->c->hooks = f->c->hooks || value == NULL;
		return 0;
	}
	if (k != NULL && k->kind == COMPAT_HOOK)
		list = &f->hooks;
	if (k != NULL)
		return strlist_add(list, name) == 0 ? 0 : err_set(e, "out of memory");
	/* Functions and objects with names of their own are the file's helpers. */
	return value != NULL ? note_unknown(f, name, e) : 0;
}

static int
apply_answer(struct pyfile *f, const json_t *answer, struct err *e)
{
	const json_t *values = json_object_get(answer, "values");
	const json_t *opaque = json_object_get(answer, "opaque");
	const char *name;
	json_t *value;
	size_t i;

	if (!json_is_object(values) || !json_is_array(opaque))
		return err_set(e,
		    "config file %s: the interpreter's answer is not understood", f->path);
	json_object_foreach((json_t *)values, name,
	    value) if (apply_setting(f, name, value, e) != 0) return -1;
	json_array_foreach((json_t *)opaque, i,
	    value) if (json_is_string(value) &&
		       apply_setting(f, json_string_value(value), NULL, e) != 0) return -1;
	return 0;
}

static void
notice_names(const struct pyfile *f, const struct strlist *names, const char *sentence,
    struct strlist *notices)
{
	char text[512];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < names->n && n < sizeof(text); i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s%s", i ? ", " : "", names->v[i]);
	if (names->n > 0)
		strlist_addf(notices, "%s: %s: %s", f->path, sentence, text);
}

int
conf_pyfile_load(struct conf *c, const char *path, const char *python,
    struct strlist *notices, struct err *e)
{
	struct pyfile f = {.c = c, .path = path, .src = {.origin = path, .python = true}};
	AUTO_FREE char *buf = malloc(CONF_FILE_MAX);
	json_t *answer = NULL;
	size_t n = 0;
	int rc = -1;

	if (buf == NULL)
		return err_set(e, "out of memory");
	if (evaluate(path, python, buf, &n, e) != 0)
		return -1;
	answer = json_loadb(buf, n, 0, NULL);
	rc = apply_answer(&f, answer, e);
	if (rc == 0) {
		notice_names(
		    &f, &f.unsupported, "settings without effect in this version", notices);
		notice_names(&f, &f.hooks, "hooks of the master are not called", notices);
		notice_names(&f, &f.unknown, "names that are no setting", notices);
	}
	strlist_finish(&f.unsupported);
	strlist_finish(&f.hooks);
	strlist_finish(&f.unknown);
	json_decref(answer);
	return rc;
}
