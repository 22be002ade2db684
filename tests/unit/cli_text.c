/* What shoalctl makes of values and hostile text, and how tables come out.
 * SPDX-License-Identifier: MIT */
#include "master/cli/args.h"
#include "master/cli/find.h"
#include "master/cli/text.h"
#include "master/cli/views.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

static void
test_clean(void **state)
{
	static const struct {
		const char *in, *out;
		unsigned columns, used;
	} cases[] = {
	    {"", "", 10, 0},
	    {"abc", "abc", 3, 3},
	    {"abcd", "ab…", 3, 3},
	    {"abcd", "…", 1, 1},
	    {"abcd", "", 0, 0},
	    {"\033[31m", "\\x1b[31m", TEXT_ALL_COLUMNS, 8},
	    {"a\tb\nc\rd", "a\\tb\\nc\\rd", TEXT_ALL_COLUMNS, 10},
	    {"\302\233x", "\\u009bx", TEXT_ALL_COLUMNS, 7},
	    {"\342\200\256x", "\\u202ex", TEXT_ALL_COLUMNS, 7},
	    {"\377\300\200", "\\xff\\xc0\\x80", TEXT_ALL_COLUMNS, 12},
	    {"\355\240\200", "\\ud800", TEXT_ALL_COLUMNS, 6},
	    {"\360\237\220\237", "\360\237\220\237", 2, 2},
	    {"漢字", "漢…", 3, 3},
	    {"e\314\201x", "e\314\201x", 2, 2},
	    {"\342\202", "\\xe2\\x82", TEXT_ALL_COLUMNS, 8},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char buf[64];

		assert_int_equal(
		    text_clean(cases[i].in, buf, sizeof(buf), cases[i].columns),
		    cases[i].used);
		assert_string_equal(buf, cases[i].out);
	}
	for (size_t max = 1; max < 20; max++) {
		char buf[20];

		memset(buf, '#', sizeof(buf));
		text_clean("\033漢字漢字", buf, max, TEXT_ALL_COLUMNS);
		assert_true(strlen(buf) < max);
	}
}

static void
test_values(void **state)
{
	char buf[VALUE_TEXT_MAX];

	(void)state;
	assert_string_equal(value_seconds(0.25, buf, sizeof(buf)), "0.2s");
	assert_string_equal(value_seconds(9.99, buf, sizeof(buf)), "10s");
	assert_string_equal(value_seconds(245, buf, sizeof(buf)), "4m05s");
	assert_string_equal(value_seconds(122800.1, buf, sizeof(buf)), "1d10h");
	assert_string_equal(value_seconds(INFINITY, buf, sizeof(buf)), "-");
	assert_string_equal(value_micros(812, buf, sizeof(buf)), "812us");
	assert_string_equal(value_micros(3100, buf, sizeof(buf)), "3.1ms");
	assert_string_equal(value_micros(2.2e6, buf, sizeof(buf)), "2.2s");
	assert_string_equal(value_bytes(1023, buf, sizeof(buf)), "1023");
	assert_string_equal(value_bytes(88080384, buf, sizeof(buf)), "84.0M");
	assert_string_equal(value_bytes(1e30, buf, sizeof(buf)), "867361737988E");
	setenv("TZ", "UTC", 1);
	assert_string_equal(
	    value_time(1795222800.5, true, buf, sizeof(buf)), "2026-11-21T01:00:00");
	assert_string_equal(value_time(NAN, true, buf, sizeof(buf)), "-");
	assert_string_equal(value_text(NULL, VALUE_BYTES, buf), "-");
}

static char *
render(bool terminal, unsigned width)
{
	json_t *r =
	    json_pack("{s:[{s:i, s:i, s:s, s:i, s:{s:s}}, {s:i, s:i, s:s, s:i, s:n}]}",
		"workers", "slot", 0, "pid", 9001, "state", "busy", "rss_bytes", 88080384,
		"last_exit", "reason", "a\tlong\033 reason", "slot", 11, "pid", 7, "state",
		"stuck", "rss_bytes", 512, "last_exit");
	struct out o = {.terminal = terminal, .colour = false, .width = width};
	char *text = NULL;
	size_t n;

	o.f = open_memstream(&text, &n);
	out_table(&o, &view_workers, value_at(r, "workers"));
	fclose(o.f);
	json_decref(r);
	return text;
}

static void
test_table(void **state)
{
	char *wide = render(true, 100), *narrow = render(true, 45),
	     *tsv = render(false, 80);

	(void)state;
	assert_string_equal(wide, "SLOT   PID  STATE    RSS  LAST EXIT\n"
				  "   0  9001  busy   84.0M  a\\tlong\\x1b reason\n"
				  "  11     7  stuck    512  -\n");
	assert_string_equal(narrow, "SLOT   PID  STATE    RSS  LAST EXIT\n"
				    "   0  9001  busy   84.0M  a\\tlong\\x1b reason\n"
				    "  11     7  stuck    512  -\n");
	assert_non_null(strstr(
	    tsv, "\n0\t9001\t\tbusy\t\t\t\t\t88080384\t\t\t\ta\\tlong\\x1b reason\n"));
	assert_null(strchr(tsv, '\033'));
	free(wide);
	free(narrow);
	free(tsv);
}

static void
test_narrow_table_is_cut(void **state)
{
	char *text = render(true, 36);

	(void)state;
	assert_non_null(strstr(text, "84.0M  a\\tlong\\x…\n"));
	free(text);
}

static int
parse(struct args *a, const char *line, struct err *e)
{
	char copy[256], *argv[32], *save = NULL;
	size_t n = 0;
	int rc;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	rc = args_parse(a, argv, n, e);
	return rc;
}

static void
test_args(void **state)
{
	static const struct {
		const char *line, *params;
	} good[] = {
	    {"scale -2", "{\"delta\": -2}"},
	    {"scale 12 --no-wait", "{\"target\": 12}"},
	    {"--json kill 3 -9 -s /x", "{\"slot\": 3, \"signal\": \"KILL\"}"},
	    {"-i shop kill -9 3", "{\"signal\": \"KILL\", \"slot\": 3}"},
	    {"recycle 1 2 3", "{\"slots\": [1, 2, 3]}"},
	    {"reload --soak=1m30s --bluegreen",
		"{\"soak_s\": 90, \"mode\": \"bluegreen\"}"},
	    {"config get threads", "{\"path\": \"threads\"}"},
	    {"logs -fn 5", "{\"tail\": 5}"},
	    {"logs -n5 -f", "{\"tail\": 5}"},
	    {"events -- -f", "{\"types\": [\"-f\"]}"},
	};
	static const char *const bad[] = {"kill", "kill 3 4", "scale +x", "scale -",
	    "reload --soak -1x", "logs -n", "logs -z", "config", "config get a b",
	    "-x status", "log-level debug 10m more", "status --json=1"};
	struct args a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		char *text;

		assert_int_equal(parse(&a, good[i].line, &e), 0);
		text = json_dumps(a.params, 0);
		assert_string_equal(text, good[i].params);
		free(text);
		args_finish(&a);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (parse(&a, bad[i], &e) == 0)
			fail_msg("taken: %s", bad[i]);
		args_finish(&a);
	}
}

static int
listen_at(const char *dir, const char *name, bool stale)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s/%s.sock", dir, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	if (!stale)
		assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void
test_choice_of_instance(void **state)
{
	char dir[] = "/tmp/shoal-find-XXXXXX", command[64];
	struct find *f = calloc(1, sizeof(*f));
	struct err e;
	int a, b, c;

	(void)state;
	assert_non_null(mkdtemp(dir));
	find_add_dir(f, dir);
	find_scan(f);
	assert_null(find_choose(f, NULL, &e));
	assert_non_null(strstr(e.text, "no instance runs here"));
	a = listen_at(dir, "stale", true);
	find_scan(f);
	assert_null(find_choose(f, NULL, &e));
	assert_non_null(strstr(e.text, "stale left a stale socket"));
	b = listen_at(dir, "shop", false);
	find_scan(f);
	assert_string_equal(find_choose(f, NULL, &e)->name, "shop");
	c = listen_at(dir, "news", false);
	find_scan(f);
	assert_null(find_choose(f, NULL, &e));
	assert_non_null(strstr(e.text, "news, shop"));
	assert_string_equal(find_choose(f, "news", &e)->name, "news");
	assert_null(find_choose(f, "other", &e));
	close(a);
	close(b);
	close(c);
	free(f);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clean),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_narrow_table_is_cut),
	    cmocka_unit_test(test_args),
	    cmocka_unit_test(test_choice_of_instance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
