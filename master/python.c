/* Which Python the workers run, and how: the choice, the plugin that fits, and refusals in
 * words. SPDX-License-Identifier: MIT */
#include "master/python.h"

#include "master/probe.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define PLUGIN_PREFIX "shoal-cp"
#define PLUGIN_SUFFIX ".so"

struct answer {
	const char *executable, *implementation, *version, *abi, *libpython;
	int major, minor, is_static;
};

/* Made absolute without resolving links: a venv's python has to keep its own path. */
static int
make_absolute(char *out, size_t max, const char *path, struct err *e)
{
	char cwd[1024];
	int n;

	if (path[0] == '/') {
		n = snprintf(out, max, "%s", path);
	} else {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return err_errno(e, "cannot tell the current directory");
		n = snprintf(out, max, "%s/%s", cwd, path);
	}
	if (n < 0 || (size_t)n >= max)
		return err_set(e, "the path is too long");
	return 0;
}

static int
find_on_path(char *out, size_t max, const char *name, struct err *e)
{
	const char *path = getenv("PATH");

	if (path == NULL || *path == '\0')
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != '\0') {
		size_t len = strcspn(path, ":");
		char file[1024];
		int n = snprintf(file, sizeof(file), "%.*s/%s", (int)len, path, name);

		/* An empty or relative entry would run what lies in the current directory.
		 */
		if (path[0] == '/' && n > 0 && (size_t)n < sizeof(file) &&
		    access(file, X_OK) == 0)
			return make_absolute(out, max, file, e);
		path += len + (path[len] == ':');
	}
	return err_set(
	    e, "there is no %s on PATH; name an interpreter with --python", name);
}

static int
find_in_venv(char *out, size_t max, const char *dir, struct err *e)
{
	char file[1024];
	int n = snprintf(file, sizeof(file), "%s/bin/python3", dir);

	if (n < 0 || (size_t)n >= sizeof(file))
		return err_set(e, "the path is too long");
	if (access(file, X_OK) < 0)
		return err_errno(e, "no virtual environment: %s", file);
	return make_absolute(out, max, file, e);
}

static int
find(char *out, size_t max, const struct conf *c, struct err *e)
{
	const char *venv = getenv("VIRTUAL_ENV");

	if (c->python != NULL) {
		int rc = strchr(c->python, '/') ? make_absolute(out, max, c->python, e)
						: find_on_path(out, max, c->python, e);

		return rc < 0 ? err_wrap(e, "--python %s", c->python) : 0;
	}
	if (c->venv != NULL)
		return find_in_venv(out, max, c->venv, e) < 0
			   ? err_wrap(e, "--venv %s", c->venv)
			   : 0;
	if (venv != NULL && *venv != '\0')
		return find_in_venv(out, max, venv, e) < 0
			   ? err_wrap(e, "VIRTUAL_ENV=%s", venv)
			   : 0;
	return find_on_path(out, max, "python3", e);
}

static int
compare_minor(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* "3.9, 3.11", or "none". */
static void
list_plugins(const char *dir, char *out, size_t max)
{
	int minors[32], major, minor;
	size_t n = 0, used = 0;
	DIR *d = opendir(dir);
	const struct dirent *de;

	while (d != NULL && n < ARRAY_LEN(minors) && (de = readdir(d)) != NULL) {
		char tail[8];

		if (sscanf(de->d_name, PLUGIN_PREFIX "%1d%3d%7s", &major, &minor, tail) ==
			3 &&
		    major == 3 && strcmp(tail, PLUGIN_SUFFIX) == 0)
			minors[n++] = minor;
	}
	if (d != NULL)
		closedir(d);
	qsort(minors, n, sizeof(minors[0]), compare_minor);
	snprintf(out, max, "none");
	for (size_t i = 0; i < n && used < max; i++)
		used += (size_t)snprintf(
		    out + used, max - used, "%s3.%d", i ? ", " : "", minors[i]);
}

/* The one plugin that was built for this minor version. */
static int
find_plugin(struct python *py, const struct answer *a, const char *bin_dir, struct err *e)
{
	char beside[1024], dir[PATH_MAX], there[256];

	snprintf(beside, sizeof(beside), "%s/../lib/shoal", bin_dir);
	if (realpath(beside, dir) == NULL)
		return err_errno(e, "no plugins for any Python: %s", beside);
	if (strlen(dir) >= sizeof(py->plugin) - sizeof(PLUGIN_PREFIX "3999" PLUGIN_SUFFIX))
		return err_set(e, "the path of the plugins is too long: %s", dir);
	list_plugins(dir, there, sizeof(there));
	if (strcmp(a->implementation, "cpython") != 0)
		return err_set(e, "%s is %s; shoal runs CPython only (plugins: %s)",
		    py->executable, a->implementation, there);
	if (a->abi[0] != '\0')
		return err_set(e,
		    "%s is a %s build of CPython, for which there is no plugin",
		    py->executable, a->abi[0] == 't' ? "free-threaded" : "debug");
	snprintf(py->plugin, sizeof(py->plugin),
	    "%.1000s/" PLUGIN_PREFIX "%d%d" PLUGIN_SUFFIX, dir, a->major, a->minor);
	if (access(py->plugin, R_OK) < 0)
		return err_set(e,
		    "%s is CPython %s, and there is no plugin for %d.%d in %s (there are: "
		    "%s); "
		    "choose an interpreter with --python or --venv",
		    py->executable, a->version, a->major, a->minor, dir, there);
	return 0;
}

static int
choose_launch(struct python *py, const struct answer *a, const char *launch, struct err *e)
{
	/* Python inside a static executable runs faster than Debian's shared library does.
	 */
	bool exec =
	    strcmp(launch, "exec") == 0 || (strcmp(launch, "auto") == 0 && a->is_static);

	py->libpython[0] = '\0';
	if (exec)
		return 0;
	if (a->libpython[0] == '\0')
		return err_set(e,
		    "%s has no shared libpython%d.%d to embed; use --python-launch exec",
		    py->executable, a->major, a->minor);
	snprintf(py->libpython, sizeof(py->libpython), "%s", a->libpython);
	return 0;
}

static int
take_answer(struct python *py, const json_t *answer, struct answer *a, struct err *e)
{
	if (json_unpack((json_t *)answer, "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:b}",
		"executable", &a->executable, "implementation", &a->implementation,
		"version", &a->version, "abi", &a->abi, "libpython", &a->libpython, "major",
		&a->major, "minor", &a->minor, "static", &a->is_static) < 0 ||
	    a->executable[0] != '/' || strlen(a->executable) >= sizeof(py->executable) ||
	    strlen(a->libpython) >= sizeof(py->libpython))
		return err_set(e, "%s did not say what it is", py->executable);
	/* A wrapper script (pyenv's shims) stands for the interpreter it runs. */
	snprintf(py->executable, sizeof(py->executable), "%s", a->executable);
	snprintf(py->version, sizeof(py->version), "%s", a->version);
	return 0;
}

int
python_choose(struct python *py, const struct conf *c, const char *bin_dir,
    const struct privs *privs, char **env, struct err *e)
{
	struct answer a;
	json_t *answer;
	int rc;

	memset(py, 0, sizeof(*py));
	if (find(py->executable, sizeof(py->executable), c, e) < 0)
		return -1;
	answer = probe_run(py->executable, privs, env, PYTHON_PROBE_MS, e);
	if (answer == NULL)
		return err_wrap(e, "cannot use the interpreter %s", py->executable);
	rc = take_answer(py, answer, &a, e);
	if (rc == 0)
		rc = find_plugin(py, &a, bin_dir, e);
	if (rc == 0)
		rc = choose_launch(py, &a, c->python_launch, e);
	json_decref(answer);
	return rc;
}
