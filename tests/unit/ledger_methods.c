/* What the ledger answers: queries and what is wrong with them, exports, corrections,
 * quotas. SPDX-License-Identifier: MIT */
#include "tests/unit/ledger_bench.h"

static void
exec(struct bench *b, const char *sql)
{
	struct err e = {""};

	if (store_exec(&b->l.store, sql, &e) < 0)
		fail_msg("%s", e.text);
}

static json_int_t
cell(const json_t *result, size_t row, size_t column)
{
	return json_integer_value(
	    json_array_get(json_array_get(json_object_get(result, "rows"), row), column));
}

static size_t
count(const json_t *result, const char *list)
{
	return json_array_size(json_object_get(result, list));
}

static void
test_query(void **state)
{
	struct fault f;
	struct bench b;
	json_t *v;

	(void)state;
	bench_begin(&b);
	/* 2026-10-31T23:59, 2026-11-01T00:00 and T01:00; and an hour that was rolled up. */
	exec(&b, "INSERT INTO usage(span, bucket, account, requests, out_head, out_body, "
		 "out_undelivered) VALUES(60, 1793491140, 'acme', 1, 10, 100, 0), "
		 "(60, 1793491200, 'acme', 2, 20, 200, 5), (60, 1793494800, 'acme', 4, 40, "
		 "400, 0), "
		 "(60, 1793494800, 'beta', 8, 80, 800, 0), (3600, 1793498400, 'acme', 16, "
		 "0, 0, 0)");
	v = bench_call(&b, ledger_query,
	    "{\"from\":\"2026-11\",\"to\":\"2026-12-01T00:00:00Z\",\"step\":\"1h\","
	    "\"accounts\":[\"acme\"],\"columns\":[\"requests\",\"billable_bytes\"]}",
	    &f);
	assert_non_null(v);
	assert_int_equal(count(v, "rows"), 3);
	assert_int_equal(cell(v, 0, 0), 1793491200);
	assert_int_equal(cell(v, 0, 2), 2);
	assert_int_equal(cell(v, 0, 3), 215);
	assert_int_equal(cell(v, 2, 2), 16);
	json_decref(v);
	v = bench_call(&b, ledger_query, "{\"from\":\"1970-01\",\"step\":\"1mo\"}", &f);
	assert_int_equal(count(v, "rows"), 3);
	assert_int_equal(cell(v, 0, 2), 1);
	assert_int_equal(cell(v, 1, 0), 1793491200);
	assert_int_equal(cell(v, 1, 2), 22);
	json_decref(v);
	v = bench_call(&b, ledger_query, "{\"from\":\"1970-01\",\"accounts\":[]}", &f);
	assert_int_equal(count(v, "rows"), 0);
	json_decref(v);
	bench_end(&b);
}

static void
test_pages(void **state)
{
	char params[200] = "{\"from\":\"1970-01\",\"step\":\"1m\",\"limit\":7}";
	size_t rows = 0, pages = 0;
	struct fault f;
	struct bench b;

	(void)state;
	bench_begin(&b);
	exec(&b, "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<49) "
		 "INSERT INTO usage(span, bucket, account, requests) "
		 "SELECT 60, 6000+i/5*60, 'account/'||(i%5), 1 FROM n");
	for (;;) {
		json_t *v = bench_call(&b, ledger_query, params, &f);
		const char *cursor = json_string_value(json_object_get(v, "cursor"));

		assert_non_null(v);
		rows += count(v, "rows");
		pages++;
		if (cursor == NULL) {
			json_decref(v);
			break;
		}
		snprintf(params, sizeof(params),
		    "{\"from\":\"1970-01\",\"step\":\"1m\",\"limit\":7,\"cursor\":\"%s\"}",
		    cursor);
		json_decref(v);
	}
	assert_int_equal(rows, 50);
	assert_int_equal(pages, 8);
	bench_end(&b);
}

static void
test_bad_queries(void **state)
{
	static const struct {
		const char *params, *param;
	} bad[] = {
	    {"{\"from\":\"yesterday\"}", "from"},
	    {"{\"from\":\"2026-02-31\"}", "from"},
	    {"{\"to\":\"2026-11-21T25:00\"}", "to"},
	    {"{\"from\":\"2026-11\",\"to\":\"2026-10\"}", "to"},
	    {"{\"step\":\"1w\"}", "step"},
	    {"{\"columns\":[]}", "columns"},
	    {"{\"columns\":[\"requests\",\"secrets\"]}", "columns"},
	    {"{\"columns\":[\"sum(1)\"]}", "columns"},
	    {"{\"cursor\":\"somewhere\"}", "cursor"},
	};
	struct fault f;
	struct bench b;

	(void)state;
	bench_begin(&b);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_null(bench_call(&b, ledger_query, bad[i].params, &f));
		assert_string_equal(f.kind, "invalid_params");
		assert_string_equal(f.param, bad[i].param);
	}
	assert_null(bench_call(
	    &b, ledger_adjust, "{\"account\":\"a\",\"column\":\"x\",\"delta\":1}", &f));
	assert_string_equal(f.param, "column");
	assert_null(bench_call(&b, ledger_adjust,
	    "{\"account\":\"a\",\"column\":\"out_body\",\"delta\":0}", &f));
	assert_string_equal(f.param, "delta");
	bench_end(&b);
}

/* The minute that still grows is shown only when it is asked for. */
static void
test_open_minute(void **state)
{
	struct fault f;
	struct bench b;
	struct acct a;
	json_t *v;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 9);
	bench_flush(&b);
	v = bench_call(&b, ledger_query, "{\"from\":\"1970-01\"}", &f);
	assert_int_equal(count(v, "rows"), 0);
	json_decref(v);
	v = bench_call(
	    &b, ledger_query, "{\"from\":\"1970-01\",\"include_open\":true}", &f);
	assert_int_equal(count(v, "rows"), 1);
	assert_int_equal(cell(v, 0, 2), 1);
	json_decref(v);
	acct_close(&a);
	bench_end(&b);
}

static void
test_export(void **state)
{
	struct fault f;
	struct bench b;
	struct acct a;
	const json_t *first;
	char after[64];
	json_t *v, *other;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 9);
	assert_int_equal(ledger_flush(&b.l, false), 0);
	v = bench_call(&b, ledger_export, "{}", &f);
	assert_int_equal(count(v, "records"), 0); /* it may still grow */
	json_decref(v);
	bench_count(&a, "acme", 1, 1);
	bench_flush(&b);
	bench_count(&a, "acme", 1, 5);
	bench_flush(&b);
	v = bench_call(&b, ledger_export, "{\"limit\":1}", &f);
	first = json_array_get(json_object_get(v, "records"), 0);
	assert_int_equal(json_integer_value(json_object_get(first, "out_body")), 10);
	assert_string_equal(json_string_value(json_object_get(first, "account")), "acme");
	assert_int_equal(
	    strncmp(json_string_value(json_object_get(first, "id")), "n1/", 3), 0);
	snprintf(after, sizeof(after), "{\"after\":%lld}",
	    (long long)json_integer_value(json_object_get(v, "last")));
	other = bench_call(&b, ledger_export, after, &f);
	assert_int_equal(count(other, "records"), 1);
	assert_string_not_equal(json_string_value(json_object_get(first, "id")),
	    json_string_value(json_object_get(
		json_array_get(json_object_get(other, "records"), 0), "id")));
	json_decref(v);
	json_decref(other);
	acct_close(&a);
	bench_end(&b);
}

static void
test_adjust(void **state)
{
	struct fault f;
	struct bench b;
	json_t *v;

	(void)state;
	bench_begin(&b);
	for (unsigned i = 0; i < 2; i++) {
		v = bench_call(&b, ledger_adjust,
		    "{\"account\":\"acme\",\"column\":\"out_body\",\"delta\":-500,"
		    "\"at\":\"2026-11-01\",\"reason\":\"outage\",\"uid\":7}",
		    &f);
		assert_non_null(v);
		json_decref(v);
	}
	bench_flush(&b);
	assert_int_equal(bench_bytes(&b, "acme"), -1000);
	assert_int_equal(bench_number(&b, "SELECT count(*) FROM adjust WHERE uid=7"), 2);
	v = bench_call(&b, ledger_export, "{}", &f);
	assert_int_equal(count(v, "records"), 2);
	assert_non_null(strstr(json_string_value(json_object_get(
				   json_array_get(json_object_get(v, "records"), 0), "id")),
	    "n1/adjust/1/"));
	json_decref(v);
	bench_end(&b);
}

static enum quota_state
state_of(struct bench *b, const char *account, struct quota_view *view)
{
	quota_find(&b->l.quotas->table, account, strlen(account), view);
	return view->state;
}

static void
test_quota(void **state)
{
	struct quota_view q;
	struct fault f;
	struct bench b;
	struct acct a;
	json_t *v;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 100);
	assert_null(bench_call(
	    &b, ledger_quota_set, "{\"account\":\"acme\",\"action\":\"throttle\"}", &f));
	assert_string_equal(f.param, "rate_bytes");
	v = bench_call(&b, ledger_quota_set,
	    "{\"account\":\"acme\",\"window\":\"month\",\"limit_bytes\":1000,\"action\":"
	    "\"deny\"}",
	    &f);
	assert_int_equal(json_integer_value(json_object_get(v, "used")), 100);
	json_decref(v);
	assert_int_equal(state_of(&b, "acme", &q), QUOTA_OK);
	assert_int_equal(q.limit, 1000);
	assert_int_equal(state_of(&b, "beta", &q), QUOTA_OK);
	assert_int_equal(q.limit, 0);
	bench_count(&a, "acme", 1, 750);
	bench_flush(&b);
	assert_int_equal(state_of(&b, "acme", &q), QUOTA_WARN);
	assert_non_null(strstr(bench_said(&b), "quota.warning"));
	bench_count(&a, "acme", 1, 200);
	bench_flush(&b);
	assert_int_equal(state_of(&b, "acme", &q), QUOTA_DENY);
	assert_int_equal(q.used, 1050);
	assert_non_null(strstr(bench_said(&b), "quota.exceeded"));
	/* A correction counts, a ledger that starts anew knows it. */
	v = bench_call(&b, ledger_adjust,
	    "{\"account\":\"acme\",\"column\":\"out_body\",\"delta\":-1000}", &f);
	json_decref(v);
	bench_stop(&b);
	bench_start(&b);
	assert_int_equal(state_of(&b, "acme", &q), QUOTA_OK);
	assert_int_equal(q.used, 50);
	v = bench_call(&b, ledger_quota_unset, "{\"account\":\"acme\"}", &f);
	assert_non_null(v);
	json_decref(v);
	assert_int_equal(state_of(&b, "acme", &q), QUOTA_OK);
	assert_int_equal(q.limit, 0);
	assert_null(bench_call(&b, ledger_quota_get, "{\"account\":\"acme\"}", &f));
	assert_string_equal(f.kind, "not_found");
	acct_close(&a);
	bench_end(&b);
}

/* Once in its window, also by the next ledger. */
static void
test_quota_is_told_once(void **state)
{
	struct fault f;
	struct bench b;
	struct acct a;

	(void)state;
	bench_begin(&b);
	bench_worker(&b, &a, 0, 64);
	json_decref(bench_call(&b, ledger_quota_set,
	    "{\"account\":\"acme\",\"window\":\"month\",\"limit_bytes\":1000}", &f));
	bench_count(&a, "acme", 1, 900);
	bench_flush(&b);
	assert_non_null(strstr(bench_said(&b), "quota.warning"));
	bench_stop(&b);
	bench_start(&b);
	assert_null(strstr(bench_said(&b), "quota."));
	bench_count(&a, "acme", 1, 200);
	bench_flush(&b);
	assert_non_null(strstr(bench_said(&b), "quota.exceeded"));
	assert_int_equal(b.l.counts.count[LEDGER_quota_log], 1);
	bench_stop(&b);
	bench_start(&b);
	bench_count(&a, "acme", 1, 200);
	bench_flush(&b);
	assert_null(strstr(bench_said(&b), "quota."));
	assert_int_equal(b.l.counts.count[LEDGER_quota_log], 0);
	/* In another window it is another matter. */
	exec(&b, "UPDATE quota SET reached_in=reached_in-1");
	bench_stop(&b);
	bench_start(&b);
	assert_non_null(strstr(bench_said(&b), "quota.exceeded"));
	acct_close(&a);
	bench_end(&b);
}

static int64_t
age_outbox(struct bench *b, int64_t now)
{
	bool more = true;
	struct err e;

	while (more)
		assert_int_equal(store_age(&b->l.store, now, &more, &e), 0);
	assert_int_equal(
	    bench_number(b, "SELECT count(*) FROM outbox"), b->l.store.outbox_records);
	return b->l.store.outbox_records;
}

/* Where nobody ships, age ends a record; where somebody does, what was not asked beyond
 * waits four times as long, and its end is told. */
static void
test_outbox_grows_old(void **state)
{
	const int64_t now = (int64_t)ledger_now(), week = 604800;
	struct fault f;
	struct bench b;
	struct acct a;
	char after[64];

	(void)state;
	bench_begin(&b);
	b.l.store.spans.outbox_s = week;
	bench_worker(&b, &a, 0, 64);
	for (int i = 0; i < 3; i++) {
		bench_count(&a, "acme", 1, 10);
		bench_count(&a, "beta", 1, 10);
		bench_flush(&b);
		if (i == 0) {
			assert_int_equal(age_outbox(&b, now + week - 120), 2);
			assert_int_equal(age_outbox(&b, now + week + 120), 0);
			assert_int_equal(b.l.store.pruned, 2);
		}
	}
	assert_int_equal(b.l.store.outbox_records, 4);
	snprintf(after, sizeof(after), "{\"after\":%lld}",
	    (long long)bench_number(&b, "SELECT min(seq) FROM outbox"));
	json_decref(bench_call(&b, ledger_export, after, &f));
	assert_int_equal(age_outbox(&b, now + week + 120), 3);
	assert_int_equal(b.l.store.pruned, 2);
	bench_stop(&b);
	bench_start(&b); /* which knows that somebody ships, and how many there are */
	b.l.store.spans.outbox_s = week;
	assert_int_equal(age_outbox(&b, now + 4 * week - 120), 3);
	assert_int_equal(age_outbox(&b, now + 4 * week + 120), 0);
	assert_int_equal(b.l.store.pruned, 3);
	(void)bench_said(&b);
	b.l.age_due_ms = 0;
	bench_flush(&b);
	assert_non_null(
	    strstr(bench_said(&b), "\"accounting.outbox_pruned\",\"data\":{\"records\":3"));
	assert_int_equal(b.l.counts.count[LEDGER_pruned_records], 3);
	acct_close(&a);
	bench_end(&b);
}

static void
test_age(void **state)
{
	const int64_t now = 1793491200 + 200 * 86400;
	struct bench b;
	struct err e;
	bool more = true;
	unsigned rounds = 0;
	char sql[600];

	(void)state;
	bench_begin(&b);
	b.l.store.spans.days_s = 150 * (int64_t)86400;
	exec(&b, "PRAGMA synchronous=OFF"); /* hundreds of transactions */
	/* Every half hour of the last 200 days. */
	snprintf(sql, sizeof(sql),
	    "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<9599) "
	    "INSERT INTO usage(span, bucket, account, requests, out_body) "
	    "SELECT 60, %lld-i*1800, 'acme', 1, i FROM n",
	    (long long)now);
	exec(&b, sql);
	while (more && rounds++ < 10000)
		assert_int_equal(store_age(&b.l.store, now, &more, &e), 0);
	assert_int_equal(
	    bench_number(&b, "SELECT count(*) FROM usage WHERE span=60 AND bucket<"
			     "(SELECT max(bucket) FROM usage)-172800-3600"),
	    0);
	assert_true(bench_number(&b, "SELECT count(*) FROM usage WHERE span=3600") > 2000);
	assert_in_range(
	    bench_number(&b, "SELECT count(*) FROM usage WHERE span=86400"), 59, 62);
	/* Days beyond 150 are gone, nothing else is. */
	assert_in_range(
	    bench_number(&b, "SELECT sum(requests) FROM usage"), 150 * 48, 152 * 48);
	bench_end(&b);
}

static void
test_older_schema(void **state)
{
	struct bench b;
	struct acct a;

	(void)state;
	bench_begin(&b);
	exec(&b,
	    "ALTER TABLE usage DROP COLUMN wall_us; ALTER TABLE outbox DROP COLUMN wall_us;"
	    "ALTER TABLE usage ADD COLUMN of_tomorrow INTEGER NOT NULL DEFAULT 0");
	bench_stop(&b);
	bench_start(&b);
	bench_worker(&b, &a, 0, 64);
	bench_count(&a, "acme", 1, 9);
	bench_flush(&b);
	assert_int_equal(bench_number(&b, "SELECT sum(wall_us+out_body) FROM usage"), 9);
	acct_close(&a);
	bench_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_query),
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_bad_queries),
	    cmocka_unit_test(test_open_minute),
	    cmocka_unit_test(test_export),
	    cmocka_unit_test(test_adjust),
	    cmocka_unit_test(test_quota),
	    cmocka_unit_test(test_quota_is_told_once),
	    cmocka_unit_test(test_outbox_grows_old),
	    cmocka_unit_test(test_age),
	    cmocka_unit_test(test_older_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
