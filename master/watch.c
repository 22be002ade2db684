/* Watches files for --reload. Directories are watched and names compared, not files:
 * editors put a new file in the old one's place. SPDX-License-Identifier: MIT */
#include "master/watch.h"

#include "common/log.h"
#include "master/clock.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define CHANGES (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM)
#define ENDS (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)

struct dir {
	char *path;  /* owned */
	void *names; /* owned: tsearch tree of owned strings */
	int wd;      /* -1: not watched, or no longer */
	bool lost;   /* worth another try */
	bool all;    /* every name counts */
};

struct watch {
	int fd;                      /* owned */
	struct event *on_readable;   /* owned */
	struct event *quiet, *retry; /* owned timers */
	int64_t quiet_ms;
	watch_fn *on_change;
	void *ctx;
	void *by_path;                    /* tsearch tree of the same dirs */
	struct dir *dirs[WATCH_DIRS_MAX]; /* owned */
	size_t n_dirs, n_files;
	bool complained;
	int64_t first_ms;       /* of the changes not yet told; 0: none */
	char changed[PATH_MAX]; /* the first of them */
};

/* Once: the rest would say the same. */
static void
complain(struct watch *w, const char *path, const char *reason, const char *advice)
{
	if (!w->complained)
		log_error("watch", "not every file is watched",
		    "directory=%s reason=\"%s\" advice=\"%s\"", path, reason, advice);
	w->complained = true;
}

static void
plan_timer(struct event *timer, int64_t ms)
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(timer, &tv);
}

/* Told by on_quiet(), once for all that follow closely. */
static void
note_change(struct watch *w, const char *dir, const char *name)
{
	int64_t now = clock_ms(), left;

	if (w->first_ms == 0) {
		w->first_ms = now;
		snprintf(w->changed, sizeof(w->changed), "%s%s%s", dir,
		    *name != '\0' ? "/" : "", name);
	}
	left = w->first_ms + 10 * w->quiet_ms - now;
	plan_timer(w->quiet, MAX(MIN(left, w->quiet_ms), 1));
}

static void
on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	(void)fd;
	(void)what;

	w->first_ms = 0;
	w->on_change(w->ctx, w->changed);
}

/* ---- Directories ---- */

static void
arm(struct watch *w, struct dir *d)
{
	d->wd = inotify_add_watch(w->fd, d->path, CHANGES | ENDS | IN_ONLYDIR);
	d->lost = d->wd < 0 && errno == ENOENT;
	if (d->lost)
		plan_timer(w->retry, WATCH_RETRY_MS);
	else if (d->wd < 0 && errno == ENOSPC)
		complain(w, d->path, "no watches left",
		    "raise fs.inotify.max_user_watches with sysctl(8)");
	else if (d->wd < 0)
		log_debug("watch", "directory not watched", "directory=%s reason=\"%s\"",
		    d->path, strerror(errno));
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	(void)fd;
	(void)what;

	for (size_t i = 0; i < w->n_dirs; i++) {
		struct dir *d = w->dirs[i];

		if (!d->lost)
			continue;
		arm(w, d);
		if (d->wd >= 0) /* what is in it now was not seen to come */
			note_change(w, d->path, "");
	}
}

static int
compare_dirs(const void *a, const void *b)
{
	return strcmp(((const struct dir *)a)->path, ((const struct dir *)b)->path);
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
dir_destroy(struct dir *d)
{
	tdestroy(d->names, free);
	free(d->path);
	free(d);
}

/* The directory of that path, watched; NULL without memory or room. */
static struct dir *
get_dir(struct watch *w, const char *path)
{
	const struct dir key = {.path = (char *)(uintptr_t)path};
	void *found = tfind(&key, &w->by_path, compare_dirs);
	struct dir *d;

	if (found != NULL)
		return *(struct dir **)found;
	if (w->n_dirs == WATCH_DIRS_MAX) {
		complain(w, path, "too many directories", "restart after changes there");
		return NULL;
	}
	d = calloc(1, sizeof(*d));
	if (d == NULL || (d->path = strdup(path)) == NULL ||
	    tsearch(d, &w->by_path, compare_dirs) == NULL) {
		free(d != NULL ? d->path : NULL);
		free(d);
		return NULL;
	}
	w->dirs[w->n_dirs++] = d;
	arm(w, d);
	return d;
}

static void
add_name(struct watch *w, struct dir *d, const char *name)
{
	char *copy;

	if (tfind(name, &d->names, compare_names) != NULL)
		return;
	copy = w->n_files < WATCH_FILES_MAX ? strdup(name) : NULL;
	if (copy == NULL || tsearch(copy, &d->names, compare_names) == NULL) {
		complain(w, d->path, "too many files", "restart after changes there");
		free(copy);
		return;
	}
	w->n_files++;
}

static void
add_path(struct watch *w, char *path)
{
	struct stat st;
	struct dir *d;
	char *slash;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		d = get_dir(w, path);
		if (d != NULL)
			d->all = true;
		return;
	}
	slash = strrchr(path, '/');
	*slash = '\0';
	d = get_dir(w, slash == path ? "/" : path);
	if (d != NULL)
		add_name(w, d, slash + 1);
}

void
watch_add(struct watch *w, struct str lines)
{
	char cwd[PATH_MAX], path[PATH_MAX];
	const char *p = lines.p, *end = p + lines.n;

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		strcpy(cwd, "/");
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		int len;

		if (n > 0 && p[0] == '/')
			len = snprintf(path, sizeof(path), "%.*s", (int)MIN(n, INT_MAX), p);
		else
			len = snprintf(
			    path, sizeof(path), "%s/%.*s", cwd, (int)MIN(n, INT_MAX), p);
		while (len > 1 && (size_t)len < sizeof(path) && path[len - 1] == '/')
			path[--len] = '\0';
		if (n > 0 && (size_t)len < sizeof(path))
			add_path(w, path);
		p += n + 1;
	}
}

/* ---- Events ---- */

/* New modules count. What begins so is an editor's: .x.swp, .#x.py, #x.py#. */
static bool
is_new_module(const char *name, uint32_t mask)
{
	size_t n = strlen(name);

	return (mask & (IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE)) != 0 && n > 3 &&
	       memcmp(name + n - 3, ".py", 3) == 0 && name[0] != '.' && name[0] != '#';
}

static bool
counts(const struct dir *d, const char *name, uint32_t mask)
{
	return d->all || tfind(name, &d->names, compare_names) != NULL ||
	       is_new_module(name, mask);
}

/* It was removed, renamed or unmounted: what takes its place is watched as soon as it is
 * there. */
static void
lose(struct watch *w, struct dir *d, uint32_t mask)
{
	int wd = d->wd;

	d->wd = -1;
	d->lost = true;
	if ((mask & IN_MOVE_SELF) != 0) /* the watch would go along */
		inotify_rm_watch(w->fd, wd);
	note_change(w, d->path, "");
	plan_timer(w->retry, WATCH_RETRY_MS);
}

static void
take_event(struct watch *w, const struct inotify_event *ev)
{
	const char *name = ev->len > 0 ? ev->name : "";

	if ((ev->mask & IN_Q_OVERFLOW) != 0) {
		note_change(w, "", "");
		return;
	}
	/* Two paths of one directory share a descriptor. */
	for (size_t i = 0; i < w->n_dirs; i++) {
		struct dir *d = w->dirs[i];

		if (d->wd != ev->wd)
			continue;
		if ((ev->mask & ENDS) != 0)
			lose(w, d, ev->mask);
		else if ((ev->mask & IN_ISDIR) == 0 && counts(d, name, ev->mask))
			note_change(w, d->path, name);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char buf[65536];
	struct watch *w = arg;
	ssize_t n = read(fd, buf, sizeof(buf));
	(void)what;

	for (char *p = buf; n > 0 && p < buf + n;) {
		const struct inotify_event *ev = (const struct inotify_event *)(void *)p;

		take_event(w, ev);
		p += sizeof(*ev) + ev->len;
	}
}

struct watch *
watch_open(struct event_base *base, int64_t quiet_ms, watch_fn *on_change, void *ctx,
    struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		err_set(e, "out of memory");
		return NULL;
	}
	w->on_change = on_change;
	w->ctx = ctx;
	w->quiet_ms = quiet_ms;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0 && errno == EMFILE)
		err_set(e, "files cannot be watched: no inotify instance is left; raise "
			   "fs.inotify.max_user_instances with sysctl(8)");
	else if (w->fd < 0)
		err_errno(e, "files cannot be watched: inotify");
	if (w->fd < 0) {
		free(w);
		return NULL;
	}
	w->on_readable = event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->quiet = evtimer_new(base, on_quiet, w);
	w->retry = evtimer_new(base, on_retry, w);
	if (w->on_readable == NULL || w->quiet == NULL || w->retry == NULL ||
	    event_add(w->on_readable, NULL) < 0) {
		watch_close(w);
		err_set(e, "out of memory");
		return NULL;
	}
	return w;
}

static void
leave_dir(void *dir)
{
	(void)dir; /* the array owns it */
}

void
watch_close(struct watch *w)
{
	struct event *const events[] = {w != NULL ? w->on_readable : NULL,
	    w != NULL ? w->quiet : NULL, w != NULL ? w->retry : NULL};

	if (w == NULL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	tdestroy(w->by_path, leave_dir);
	for (size_t i = 0; i < w->n_dirs; i++)
		dir_destroy(w->dirs[i]);
	close(w->fd);
	free(w);
}
