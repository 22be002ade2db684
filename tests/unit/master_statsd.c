/* What a statsd server is told of two moments. SPDX-License-Identifier: MIT */
#include "master/statsd.h"

#include "common/log.h"
#include "common/statsd_addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char sent[1 << 20];
static size_t n_sent, datagrams;

static void
on_full(void *ctx, const char *p, size_t n)
{
	(void)ctx;
	assert_true(n <= STATSD_DATAGRAM);
	assert_true(n_sent + n + 2 < sizeof(sent));
	memcpy(sent + n_sent, p, n);
	n_sent += n;
	sent[n_sent++] = '\n';
	sent[n_sent] = '\0';
	datagrams++;
}

static struct totals_snapshot last, now;

static void
tell(const char *prefix, const char *tags)
{
	static struct statsd_text text;

	text = (struct statsd_text){.prefix = prefix, .tags = tags, .on_full = on_full};
	n_sent = datagrams = 0;
	statsd_write(&text, &last, &now, &(struct statsd_gauges){3, 7});
}

static unsigned
lines_with(const char *words)
{
	unsigned n = 0;

	for (const char *p = sent; (p = strstr(p, words)) != NULL; p++)
		n++;
	return n;
}

static int
setup(void **state)
{
	(void)state;
	memset(&last, 0, sizeof(last));
	memset(&now, 0, sizeof(now));
	return 0;
}

static void
test_deltas(void **state)
{
	uint64_t *bucket = now.tallies.durations[DURATION_request].bucket;

	(void)state;
	now.tallies.codes[100] = 2;
	now.tallies.codes[404 - SEG_CODE_FIRST] = 1;
	now.tallies.logged[LOG_LVL_WARN] = 4;
	now.tallies.logged[LOG_LVL_INFO] = 9;
	now.sum.stats[STAT_app_errors] = 1;
	bucket[hist_bucket(50000000)] = 3;
	tell("", "");
	assert_non_null(strstr(sent, "gunicorn.request.status.200:2|c\n"));
	assert_non_null(strstr(sent, "gunicorn.request.status.404:1|c\n"));
	assert_non_null(strstr(sent, "gunicorn.requests:3|c\n"));
	assert_non_null(strstr(sent, "gunicorn.log.warning:4|c\n"));
	assert_non_null(strstr(sent, "gunicorn.log.exception:1|c\n"));
	assert_non_null(strstr(sent, "gunicorn.workers:3|g\n"));
	assert_non_null(strstr(sent, "gunicorn.backlog:7|g\n"));
	assert_int_equal(lines_with("gunicorn.log."), 2);
	assert_int_equal(lines_with("gunicorn.request.duration:"), 3);
	assert_int_equal(lines_with("|ms\n"), 3);
	assert_int_equal(datagrams, 1);
	/* Nothing new: gauges alone. */
	tell("", "");
	assert_string_equal(sent, "gunicorn.workers:3|g\ngunicorn.backlog:7|g\n");
	now.tallies.codes[100]++;
	tell("shop.", "env:prod,a");
	assert_non_null(strstr(sent, "shop.gunicorn.requests:1|c|#env:prod,a\n"));
	assert_non_null(strstr(sent, "shop.gunicorn.workers:3|g|#env:prod,a\n"));
}

/* 9900 fast ones, 100 slow ones: so are the samples, and their rate gives the count. */
static void
test_samples(void **state)
{
	uint64_t *bucket = now.tallies.durations[DURATION_request].bucket;
	unsigned slow = 0, all = 0;
	double value, rate;

	(void)state;
	bucket[hist_bucket(1000000)] = 9900;
	bucket[hist_bucket(800000000)] = 100;
	tell("", "");
	for (const char *p = sent; (p = strstr(p, "duration:")) != NULL; p++, all++) {
		assert_int_equal(sscanf(p, "duration:%lf|ms|@%lf", &value, &rate), 2);
		assert_true(rate == 0.02);
		slow += value > 780 && value < 820;
		assert_true((value > 0.97 && value < 1.03) || (value > 780 && value < 820));
	}
	assert_int_equal(all, STATSD_SAMPLES);
	assert_int_equal(slow, 2);
	assert_true(datagrams > 1);
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text, *host, *port, *path;
	} cases[] = {
	    {"localhost:9125", "localhost", "9125", NULL},
	    {"localhost", "localhost", "8125", NULL},
	    {"10.0.0.7:1", "10.0.0.7", "1", NULL},
	    {"[::1]:8126", "::1", "8126", NULL},
	    {"[::1]", "::1", "8125", NULL},
	    {"unix:///run/dsd.socket", "", "", "/run/dsd.socket"},
	    {"", NULL, NULL, NULL},
	    {":8125", NULL, NULL, NULL},
	    {"host:", NULL, NULL, NULL},
	    {"host:0", NULL, NULL, NULL},
	    {"host:65536", NULL, NULL, NULL},
	    {"host:1:2", NULL, NULL, NULL},
	    {"host:80x", NULL, NULL, NULL},
	    {"[::1", NULL, NULL, NULL},
	    {"unix://relative", NULL, NULL, NULL},
	};
	struct statsd_addr a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int rc = statsd_addr_parse(&a, cases[i].text, &e);

		if (cases[i].host == NULL) {
			assert_int_equal(rc, -1);
			assert_non_null(strstr(e.text, "--statsd-host"));
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(a.host, cases[i].host);
		assert_string_equal(a.port, cases[i].port);
		assert_string_equal(
		    a.path ? a.path : "", cases[i].path ? cases[i].path : "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_deltas, setup),
	    cmocka_unit_test_setup(test_samples, setup),
	    cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
