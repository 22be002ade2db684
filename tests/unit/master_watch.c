/* Watching files: what counts as a change, what does not, and that it goes on for ever.
 * SPDX-License-Identifier: MIT */
#include "master/watch.h"

#include "master/clock.h"

#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#define QUIET_MS 100

struct rig {
	struct event_base *base;
	struct watch *watch;
	struct event *limit; /* ends run() */
	char dir[64];
	unsigned told;
	char path[PATH_MAX];
	bool again;                   /* the callback adds a file */
	int64_t wrote_ms, longest_ms; /* on_busy: the last write, the longest pause */
};

static const char *
at(const struct rig *r, const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *buf = path[next++ % 4];

	snprintf(buf, sizeof(path[0]), "%s/%s", r->dir, name);
	return buf;
}

static void
write_at(const struct rig *r, const char *name)
{
	int fd = open(at(r, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void
on_change(void *ctx, const char *path)
{
	struct rig *r = ctx;

	r->told++;
	snprintf(r->path, sizeof(r->path), "%s", path);
	if (r->again)
		watch_add(r->watch, str_of(at(r, "later.txt")));
	event_base_loopbreak(r->base);
}

static void
add(struct rig *r, const char *name)
{
	watch_add(r->watch, str_of(at(r, name)));
}

/* Runs until a change is told, or for so long. */
static void
run(struct rig *r, int64_t ms)
{
	const struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	evtimer_add(r->limit, &tv);
	event_base_dispatch(r->base);
	evtimer_del(r->limit);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static int
set_up(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct err e;

	strcpy(r->dir, "/tmp/shoal-watch-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	r->base = event_base_new();
	r->limit = evtimer_new(r->base, on_limit, r->base);
	r->watch = watch_open(r->base, QUIET_MS, on_change, r, &e);
	assert_non_null(r->watch);
	write_at(r, "app.py");
	write_at(r, "data.txt");
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = {"app.py", "data.txt", "later.txt", "new.py",
	    "app.py~", "tmp", ".app.py.swp", "sub/app.py", "sub", "gone/app.py", "gone"};
	struct rig *r = *state;

	watch_close(r->watch);
	event_free(r->limit);
	event_base_free(r->base);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		remove(at(r, names[i]));
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

/* Told once, with that path. */
static void
expect(struct rig *r, const char *name)
{
	r->told = 0;
	run(r, 5000);
	assert_int_equal(r->told, 1);
	assert_string_equal(r->path, at(r, name));
}

static void
expect_nothing(struct rig *r)
{
	r->told = 0;
	run(r, QUIET_MS + 150);
	assert_int_equal(r->told, 0);
}

static void
test_written(void **state)
{
	struct rig *r = *state;

	add(r, "app.py");
	write_at(r, "app.py");
	write_at(r, "app.py");
	expect(r, "app.py");
	write_at(r, "app.py"); /* it goes on */
	expect(r, "app.py");
	expect_nothing(r);
}

static void
test_others(void **state)
{
	struct rig *r = *state;

	add(r, "app.py");
	write_at(r, "data.txt");
	write_at(r, ".app.py.swp");
	assert_int_equal(mkdir(at(r, "sub"), 0700), 0);
	expect_nothing(r);
}

/* A copy in place of the file; the file aside and a new one under its name. */
static void
test_editors(void **state)
{
	struct rig *r = *state;

	add(r, "app.py");
	write_at(r, "tmp");
	assert_int_equal(rename(at(r, "tmp"), at(r, "app.py")), 0);
	expect(r, "app.py");
	assert_int_equal(rename(at(r, "app.py"), at(r, "app.py~")), 0);
	write_at(r, "app.py");
	unlink(at(r, "app.py~"));
	expect(r, "app.py");
	write_at(r, "app.py");
	expect(r, "app.py");
}

static void
test_new_module(void **state)
{
	struct rig *r = *state;

	add(r, "app.py");
	write_at(r, "new.py");
	expect(r, "new.py");
}

static void
test_directory(void **state)
{
	struct rig *r = *state;

	watch_add(r->watch, str_of(r->dir));
	write_at(r, "data.txt");
	expect(r, "data.txt");
}

/* Several lines at once, in any order, and again. */
static void
test_lines(void **state)
{
	struct rig *r = *state;
	char lines[512];

	snprintf(lines, sizeof(lines), "\n%s\n/no/such/directory/x.py\n%s\n%s",
	    at(r, "app.py"), at(r, "data.txt"), at(r, "app.py"));
	watch_add(r->watch, str_of(lines));
	watch_add(r->watch, str_of(lines));
	write_at(r, "data.txt");
	expect(r, "data.txt");
}

static void
test_add_while_told(void **state)
{
	struct rig *r = *state;

	r->again = true;
	add(r, "app.py");
	write_at(r, "app.py");
	expect(r, "app.py");
	write_at(r, "later.txt");
	expect(r, "later.txt");
}

/* A deployment moves the directory away and puts another one there. */
static void
test_directory_replaced(void **state)
{
	struct rig *r = *state;

	assert_int_equal(mkdir(at(r, "sub"), 0700), 0);
	write_at(r, "sub/app.py");
	add(r, "sub/app.py");
	assert_int_equal(rename(at(r, "sub"), at(r, "gone")), 0);
	expect(r, "sub");
	assert_int_equal(mkdir(at(r, "sub"), 0700), 0);
	write_at(r, "sub/app.py");
	expect(r, "sub");
	write_at(r, "gone/app.py");
	write_at(r, "sub/app.py");
	expect(r, "sub/app.py");
}

/* Written without a pause: told all the same, and not for every write. */
static void
on_busy(evutil_socket_t fd, short what, void *arg)
{
	struct rig *r = arg;
	int64_t now = clock_ms();

	(void)fd;
	(void)what;
	r->longest_ms = MAX(r->longest_ms, now - r->wrote_ms);
	r->wrote_ms = now;
	write_at(r, "app.py");
}

static void
test_busy(void **state)
{
	struct rig *r = *state;
	const struct timeval tv = {.tv_usec = 20000};
	struct event *busy = event_new(r->base, -1, EV_PERSIST, on_busy, r);
	int64_t begun = r->wrote_ms = clock_ms(), took, pause;

	add(r, "app.py");
	event_add(busy, &tv);
	expect(r, "app.py");
	took = clock_ms() - begun;
	pause = MAX(r->longest_ms, clock_ms() - r->wrote_ms);
	event_free(busy);
	/* Sooner only when a slow machine made the pause it waits for. */
	assert_true(took >= 10 * QUIET_MS - 50 || pause >= QUIET_MS / 2);
}

#define RIGGED(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    RIGGED(test_written),
	    RIGGED(test_others),
	    RIGGED(test_editors),
	    RIGGED(test_new_module),
	    RIGGED(test_directory),
	    RIGGED(test_lines),
	    RIGGED(test_add_while_told),
	    RIGGED(test_directory_replaced),
	    RIGGED(test_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
