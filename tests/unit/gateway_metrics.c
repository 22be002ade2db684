/* /metrics from the master's answers: both formats, hostile labels, answers that are
 * missing. SPDX-License-Identifier: MIT */
#include "master/gateway/metrics_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static json_t *docs[METRICS_DOCS];

static int
on_setup(void **state)
{
	(void)state;
	docs[METRICS_DOC_status] =
	    json_pack("{s:b,s:f}", "ready", 1, "started", 1795276893.25);
	docs[METRICS_DOC_stats] =
	    json_pack("{s:{s:i,s:n}}", "totals", "out_body", 77, "app_started");
	docs[METRICS_DOC_http] =
	    json_pack("{s:[{s:s,s:s,s:s,s:i},{s:s,s:s,s:s,s:i},{s:s}]}", "requests",
		"method", "GET", "code", "200", "listener", "a", "count", 5, "method",
		"other", "code", "404", "listener", "a", "count", 1, "method", "PUT");
	docs[METRICS_DOC_workers] = json_pack("{s:[{s:i,s:s,s:i},{s:i,s:s,s:i},{s:i}]}",
	    "workers", "slot", 0, "role", "serving", "in_flight", 15, "slot", 0, "role",
	    "draining", "in_flight", 20, "slot", 1);
	docs[METRICS_DOC_slots] = json_pack("{s:{s:i}, s:[{s:s,s:s,s:i},{s:s,s:i,s:n}]}",
	    "states", "busy", 2, "processes", "role", "master", "worker", "", "rss_bytes",
	    10, "role", "worker", "worker", 0, "rss_bytes");
	docs[METRICS_DOC_listeners] = json_pack(
	    "{s:[{s:s,s:i}]}", "listeners", "name", "unix:/a\"b\\c\nd", "accepted", 9);
	docs[METRICS_DOC_durations] =
	    json_pack("{s:{s:{s:f,s:{s:[f,f],s:[i,i,i]}}},s:{s:{s:i,s:{s:[i],s:[i,i]}}}}",
		"durations", "request", "sum_s", 1.5, "classic", "bounds_s", 0.25, 1.0,
		"counts", 3, 0, 2, "sizes", "response", "sum_bytes", 4100, "classic",
		"bounds_bytes", 1024, "counts", 4, 1);
	docs[METRICS_DOC_own] = json_loads(
	    "{\"bounds_s\":[0.25],\"families\":["
	    "{\"name\":\"orders_total\",\"type\":\"counter\",\"help\":\"a\\\\b\","
	    "\"series\":[{\"labels\":{\"shop\":\"\\\"\\\\\\n}\",\"x\":\"\"},\"value\":2.5}]"
	    "},"
	    "{\"name\":\"odd\",\"type\":\"counter\",\"help\":\"\","
	    "\"series\":[{\"labels\":{},\"value\":17.0}]},"
	    "{\"name\":\"shoal_ready\",\"type\":\"gauge\",\"help\":\"\","
	    "\"series\":[{\"labels\":{},\"value\":99.0}]},"
	    "{\"name\":\"took\",\"type\":\"histogram\",\"help\":\"\","
	    "\"series\":[{\"labels\":{\"p\":\"h\"},\"counts\":[3,1],\"sum\":1.5}]}]}",
	    0, NULL);
	assert_non_null(docs[METRICS_DOC_own]);
	docs[METRICS_DOC_routes] = json_pack("{s:[{s:s,s:i,s:i,s:f,s:{s:[f],s:[i,i]}}]}",
	    "routes", "route", "/a\"}\n", "requests", 3, "errors", 1, "sum_s", 2.5,
	    "classic", "bounds_s", 0.5, "counts", 2, 1);
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < METRICS_DOCS; i++) {
		json_decref(docs[i]);
		docs[i] = NULL;
	}
	return 0;
}

static void
expect(const char *text, const char *line)
{
	if (strstr(text, line) == NULL)
		fail_msg("no %s in\n%s", line, text);
}

static void
test_text(void **state)
{
	static const char *const lines[] = {
	    "# TYPE shoal_http_requests_total counter\n",
	    "\nshoal_http_requests_total{method=\"other\",code=\"404\",listener=\"a\"} 1\n",
	    "\nshoal_http_sent_bytes_total{kind=\"body\"} 77\n",
	    "\nshoal_ready 1\n",
	    "\nshoal_start_timestamp_seconds 1795276893.25\n",
	    "\nshoal_workers{state=\"busy\"} 2\n",
	    "\nshoal_process_resident_memory_bytes{role=\"master\",worker=\"\"} 10\n",
	    "\nshoal_worker_in_flight{worker=\"0\"} 15\n",
	    "\nshoal_connections_accepted_total{listener=\"unix:/a\\\"b\\\\c\\nd\"} 9\n",
	    "\nshoal_http_request_duration_seconds_bucket{le=\"0.25\"} 3\n",
	    "\nshoal_http_request_duration_seconds_bucket{le=\"1\"} 3\n",
	    "\nshoal_http_request_duration_seconds_bucket{le=\"+Inf\"} 5\n",
	    "\nshoal_http_request_duration_seconds_sum 1.5\n",
	    "\nshoal_http_request_duration_seconds_count 5\n",
	    "\nshoal_http_response_size_bytes_bucket{le=\"1024\"} 4\n",
	    "\nshoal_http_response_size_bytes_bucket{le=\"+Inf\"} 5\n",
	    "\nshoal_http_response_size_bytes_sum 4100\n",
	    "\nshoal_route_requests_total{route=\"/a\\\"}\\n\"} 3\n",
	    "\nshoal_route_errors_total{route=\"/a\\\"}\\n\"} 1\n",
	    "\nshoal_route_request_duration_seconds_bucket{route=\"/"
	    "a\\\"}\\n\",le=\"0.5\"} "
	    "2\n",
	    "\nshoal_route_request_duration_seconds_bucket{route=\"/"
	    "a\\\"}\\n\",le=\"+Inf\"} "
	    "3\n",
	    "\nshoal_route_request_duration_seconds_sum{route=\"/a\\\"}\\n\"} 2.5\n",
	    "\nshoal_route_request_duration_seconds_count{route=\"/a\\\"}\\n\"} 3\n",
	};
	size_t n;
	char *text = metrics_text(docs, false, &n);

	(void)state;
	assert_non_null(text);
	assert_int_equal(n, strlen(text));
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		expect(text, lines[i]);
	assert_null(strstr(text, "} 20\n")); /* draining: not the place's */
	assert_null(strstr(text, "memory_bytes{role=\"worker\""));
	assert_null(strstr(text, "\nshoal_app_requests_total ")); /* null: no sample */
	assert_null(strstr(text, "method=\"PUT\"")); /* without its labels: none */
	assert_null(strstr(text, "shoal_http_app_duration_seconds_count"));
	assert_null(strstr(text, "# EOF"));
	free(text);
}

static void
test_open_metrics(void **state)
{
	size_t n;
	char *text = metrics_text(docs, true, &n);

	(void)state;
	expect(text, "# TYPE shoal_http_requests counter\n");
	expect(text,
	    "\nshoal_http_requests_total{method=\"GET\",code=\"200\",listener=\"a\"} 5\n");
	assert_string_equal(text + n - 6, "# EOF\n");
	free(text);
}

static void
test_nothing_known(void **state)
{
	json_t *none[METRICS_DOCS] = {NULL};
	size_t n;
	char *text = metrics_text(none, false, &n);

	(void)state;
	for (const char *p = text; *p != '\0'; p = strchr(p, '\n') + 1)
		assert_int_equal(*p, '#');
	free(text);
}

static void
test_own(void **state)
{
	static const char *const both[] = {
	    "\norders_total{shop=\"\\\"\\\\\\n}\",x=\"\"} 2.5\n",
	    "\nodd 17\n",
	    "\n# TYPE took histogram\ntook_bucket{p=\"h\",le=\"0.25\"} 3\n"
	    "took_bucket{p=\"h\",le=\"+Inf\"} 4\ntook_sum{p=\"h\"} "
	    "1.5\ntook_count{p=\"h\"} 4\n",
	};
	size_t n;

	(void)state;
	for (int open = 0; open < 2; open++) {
		AUTO_FREE char *text = metrics_text(docs, open, &n);

		assert_non_null(text);
		for (size_t i = 0; i < ARRAY_LEN(both); i++)
			expect(text, both[i]);
		expect(text,
		    open ? "\n# HELP orders a\\\\b\n# TYPE orders counter\n"
			 : "\n# HELP orders_total a\\\\b\n# TYPE orders_total counter\n");
		expect(text, open ? "\n# TYPE odd unknown\n" : "\n# TYPE odd counter\n");
		assert_null(strstr(text, " 99\n"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_text, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_open_metrics, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_own, on_setup, on_teardown),
	    cmocka_unit_test(test_nothing_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
