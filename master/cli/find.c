/* Which instances run here. SPDX-License-Identifier: MIT */
#include "master/cli/find.h"

#include "common/file_name.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SUFFIX ".sock"
#define DEFAULT_NAME "shoal"

void
find_add_dir(struct find *f, const char *dir)
{
	if (dir == NULL || *dir != '/' || f->n_dirs == FIND_DIRS_MAX ||
	    strlen(dir) >= sizeof(f->dirs[0]))
		return;
	for (size_t i = 0; i < f->n_dirs; i++)
		if (strcmp(f->dirs[i], dir) == 0)
			return;
	snprintf(f->dirs[f->n_dirs++], sizeof(f->dirs[0]), "%s", dir);
}

void
find_default_dirs(struct find *f)
{
	const char *runtime = getenv("RUNTIME_DIRECTORY"), *xdg = getenv("XDG_RUNTIME_DIR");
	const char *tmp = getenv("TMPDIR");
	char dir[256];
	struct stat st;

	f->n_dirs = f->n = f->up = 0;
	/* Several are separated by colons. */
	while (runtime != NULL && *runtime != '\0') {
		size_t len = strcspn(runtime, ":");

		snprintf(dir, sizeof(dir), "%.*s", (int)MIN(len, sizeof(dir) - 1), runtime);
		find_add_dir(f, dir);
		runtime += len + (runtime[len] == ':');
	}
	find_add_dir(f, "/run/shoal");
	if (xdg != NULL && *xdg != '\0') {
		snprintf(dir, sizeof(dir), "%s/shoal", xdg);
		find_add_dir(f, dir);
	}
	snprintf(dir, sizeof(dir), "%s/shoal-%u", tmp && *tmp ? tmp : "/tmp", geteuid());
	/* Anybody may make a directory in /tmp; only our own is trusted. */
	if (lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	    (st.st_mode & 022) == 0)
		find_add_dir(f, dir);
}

static enum find_state
probe(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return FIND_UP;
	if (errno == EACCES || errno == EPERM)
		return FIND_NO_ENTRY;
	return errno == EAGAIN ? FIND_UP : FIND_STALE;
}

static void
add_socket(struct find *f, const char *dir, const char *file)
{
	struct find_instance *one = &f->v[f->n];
	size_t len = strlen(file) - strlen(SUFFIX);
	const char *base = strrchr(dir, '/') + 1;
	struct stat st;
	int n;

	if (f->n == FIND_MAX)
		return;
	n = snprintf(one->path, sizeof(one->path), "%s/%s", dir, file);
	if (n < 0 || (size_t)n >= sizeof(one->path) || stat(one->path, &st) != 0 ||
	    !S_ISSOCK(st.st_mode))
		return;
	snprintf(one->name, sizeof(one->name), "%.*s", (int)len, file);
	/* The unit's /run/shoal/shop/shoal.sock is the instance "shop". */
	if (strcmp(one->name, DEFAULT_NAME) == 0 && strncmp(base, DEFAULT_NAME, 5) != 0)
		snprintf(one->name, sizeof(one->name), "%s", base);
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].path, one->path) == 0)
			return;
	one->state = probe(one->path);
	f->up += one->state == FIND_UP;
	f->n++;
}

static bool
ends_in_suffix(const char *name)
{
	size_t n = strlen(name), s = strlen(SUFFIX);

	return n > s && strcmp(name + n - s, SUFFIX) == 0;
}

static void
scan_dir(struct find *f, const char *dir, unsigned below)
{
	struct dirent **names;
	int n = scandir(dir, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		char sub[256];

		if (name[0] != '.' && ends_in_suffix(name))
			add_socket(f, dir, name);
		else if (name[0] != '.' && below > 0 &&
			 snprintf(sub, sizeof(sub), "%s/%s", dir, name) < (int)sizeof(sub))
			scan_dir(f, sub, below - 1);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

void
find_scan(struct find *f)
{
	f->n = f->up = 0;
	for (size_t i = 0; i < f->n_dirs; i++)
		scan_dir(f, f->dirs[i], 1);
}

/* "shop, news"; those in `state` only, or all with -1. */
static const char *
list_names(const struct find *f, int state, char *buf, size_t max)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < f->n && n + sizeof(f->v[i].name) + 4 < max; i++)
		if (state < 0 || f->v[i].state == (enum find_state)state)
			n += (size_t)snprintf(
			    buf + n, max - n, "%s%s", n ? ", " : "", f->v[i].name);
	return buf;
}

const struct find_instance *
find_choose(const struct find *f, const char *name, struct err *e)
{
	const struct find_instance *found = NULL;
	char list[512], file[sizeof(found->name)];

	/* "shop:app" is the instance whose socket had to be called shop_app.sock. */
	file_name_make(name ? name : "", file, sizeof(file));
	for (size_t i = 0; i < f->n; i++) {
		const struct find_instance *one = &f->v[i];

		if (name ? strcmp(one->name, name) == 0 || strcmp(one->name, file) == 0
			 : one->state == FIND_UP)
			found = found && found->state == FIND_UP ? found : one;
	}
	if (name != NULL && found == NULL) {
		err_set(e, "no instance named %s (%s%s)", name,
		    f->n ? "there is: " : "there is none",
		    list_names(f, -1, list, sizeof(list)));
		return NULL;
	}
	if (name == NULL && f->up > 1) {
		err_set(e, "several instances run here: %s; choose one with -i NAME",
		    list_names(f, FIND_UP, list, sizeof(list)));
		return NULL;
	}
	if (found == NULL && *list_names(f, FIND_NO_ENTRY, list, sizeof(list)) != '\0')
		for (size_t i = 0; i < f->n && found == NULL; i++)
			if (f->v[i].state == FIND_NO_ENTRY)
				found = &f->v[i];
	if (found == NULL && f->n > 0)
		err_set(e, "nothing listens: %s left a stale socket",
		    list_names(f, FIND_STALE, list, sizeof(list)));
	else if (found == NULL)
		err_set(e,
		    "no instance runs here (looked in %s ...); name its socket with -s",
		    f->n_dirs ? f->dirs[0] : "no directory");
	return found;
}
