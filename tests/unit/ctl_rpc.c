/* Requests of the control socket: what is refused, as what, and in which order.
 * SPDX-License-Identifier: MIT */
#include "common/file_name.h"
#include "master/ctl/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
	const char *line;
	enum ctl_role role;
	int kind; /* -1: it is carried out */
	const char *param;
} cases[] = {
    {"{\"id\":1,\"method\":\"server.ping\"}", CTL_OBSERVER, -1, NULL},
    {"{\"id\":\"x\",\"method\":\"server.ping\",\"params\":{}}", CTL_OBSERVER, -1, NULL},
    {"{\"id\":1,\"method\":\"server.ping\"}", CTL_NOBODY, CTL_E_PERMISSION_DENIED, NULL},
    {"{\"id\":1,\"method\":\"server.stop\",\"params\":{\"bad\":1}}", CTL_OPERATOR,
	CTL_E_PERMISSION_DENIED, NULL},
    {"{\"id\":1,\"method\":\"server.stop\",\"params\":{\"bad\":1}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "bad"},
    {"{\"id\":1,\"method\":\"server.stop\",\"params\":{\"mode\":\"grace\"}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "mode"},
    {"{\"id\":1,\"method\":\"server.stop\",\"params\":{\"timeout_s\":-1}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "timeout_s"},
    {"{\"id\":1,\"method\":\"server.stop\",\"params\":{\"timeout_s\":0.5}}", CTL_ADMIN, -1,
	NULL},
    {"{\"id\":1,\"method\":\"workers.get\"}", CTL_ADMIN, CTL_E_INVALID_PARAMS, "slot"},
    {"{\"id\":1,\"method\":\"workers.get\",\"params\":{\"slot\":1.0}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "slot"},
    {"{\"id\":1,\"method\":\"workers.get\",\"params\":{\"slot\":1024}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "slot"},
    {"{\"id\":1,\"method\":\"workers.recycle\",\"params\":{\"slots\":[1,-1]}}", CTL_ADMIN,
	CTL_E_INVALID_PARAMS, "slots"},
    {"{\"id\":1,\"method\":\"workers.recycle\",\"params\":{\"slots\":[1,2]}}", CTL_ADMIN,
	-1, NULL},
    {"{\"id\":1,\"method\":\"stats.get\",\"params\":{\"select\":[\"totals\",\"x\"]}}",
	CTL_ADMIN, CTL_E_INVALID_PARAMS, "select"},
    {"{\"id\":1,\"method\":\"jobs.get\",\"params\":{\"job\":\"r\\u00001\"}}", CTL_ADMIN,
	CTL_E_PARSE, NULL},
    {"{\"id\":1,\"method\":\"no.such\"}", CTL_NOBODY, CTL_E_UNKNOWN_METHOD, NULL},
    {"{\"id\":[],\"method\":\"server.ping\"}", CTL_ADMIN, CTL_E_INVALID_REQUEST, NULL},
    {"{\"id\":1,\"id\":1,\"method\":\"server.ping\"}", CTL_ADMIN, CTL_E_PARSE, NULL},
    {"[]", CTL_ADMIN, CTL_E_INVALID_REQUEST, NULL},
    {"", CTL_ADMIN, CTL_E_PARSE, NULL},
    {"{\"id\":1,\"method\":\"server.ping\"} x", CTL_ADMIN, CTL_E_PARSE, NULL},
};

static void
test_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ctl_request r;
		const char *line = cases[i].line;
		int rc = ctl_request_parse(&r, line, strlen(line), cases[i].role);
		const char *param = json_string_value(json_object_get(r.data, "param"));

		if ((rc == 0) != (cases[i].kind < 0) ||
		    (rc < 0 && (int)r.kind != cases[i].kind))
			fail_msg("%s: rc %d kind %d (%s)", line, rc, (int)r.kind, r.why);
		if (cases[i].param != NULL)
			assert_string_equal(param, cases[i].param);
		ctl_request_finish(&r);
	}
}

static void
test_depth(void **state)
{
	char text[256];

	(void)state;
	for (int depth = CTL_DEPTH_MAX - 1; depth <= CTL_DEPTH_MAX + 1; depth++) {
		struct ctl_request r;
		json_t *v;

		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		v = ctl_json_load(text, 2 * (size_t)depth);
		assert_int_equal(v != NULL, depth <= CTL_DEPTH_MAX);
		json_decref(v);
		if (depth <= CTL_DEPTH_MAX)
			continue;
		assert_int_equal(
		    ctl_request_parse(&r, text, 2 * (size_t)depth, CTL_ADMIN), -1);
		assert_true(r.broken);
		ctl_request_finish(&r);
	}
	/* Brackets in a string nest nothing. */
	memset(text, '[', 100);
	text[0] = text[2] = '[';
	memcpy(text, "[\"\\\"", 4);
	memcpy(text + 98, "\"]", 2);
	json_t *v = ctl_json_load(text, 100);
	assert_non_null(v);
	json_decref(v);
}

static void
test_values(void **state)
{
	static char text[2 * CTL_VALUES_MAX + 2];
	struct ctl_request r;
	json_t *v;

	(void)state;
	for (size_t i = 0; i < CTL_VALUES_MAX; i++)
		memcpy(text + 2 * i, i ? ",1" : "[1", 2);
	text[2 * CTL_VALUES_MAX] = ']';
	v = ctl_json_load(text, 2 * CTL_VALUES_MAX + 1);
	assert_int_equal(json_array_size(v), CTL_VALUES_MAX);
	json_decref(v);
	memcpy(text + 2 * CTL_VALUES_MAX, ",1", 2);
	assert_int_equal(ctl_request_parse(&r, text, sizeof(text), CTL_ADMIN), -1);
	assert_int_equal(r.kind, CTL_E_TOO_LARGE);
	assert_true(r.broken);
	ctl_request_finish(&r);
}

static void
test_error_line(void **state)
{
	char *line =
	    ctl_error_line(NULL, CTL_E_BUSY, json_pack("{s:s}", "job", "r-1"), "no\xff");

	(void)state;
	assert_string_equal(line, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-"
				  "32002,\"message\":\"no?\","
				  "\"data\":{\"kind\":\"busy\",\"job\":\"r-1\"}}}\n");
	free(line);
}

static void
test_every_method_has_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < CTL_METHODS; i++) {
		assert_non_null(ctl_methods[i].name);
		assert_ptr_equal(ctl_table_find(ctl_methods[i].name), &ctl_methods[i]);
		assert_true(ctl_methods[i].role >= CTL_OBSERVER && *ctl_methods[i].help);
	}
	for (size_t i = 0; i < ctl_n_params; i++)
		assert_true(ctl_params[i].min <= ctl_params[i].max && *ctl_params[i].help);
	assert_string_equal(ctl_table_nearest("reload.strat"), "reload.start");
	assert_null(ctl_table_nearest("completely.different"));
}

static void
test_types(void **state)
{
	json_t *types = json_pack("[s, s]", "reload.*", "worker.exit");

	(void)state;
	assert_true(ctl_types_match(types, "reload.done"));
	assert_true(ctl_types_match(types, "worker.exit"));
	assert_false(ctl_types_match(types, "worker.ready"));
	assert_false(ctl_types_match(types, "reload"));
	assert_true(ctl_types_match(NULL, "anything"));
	json_decref(types);
}

static void
test_roles(void **state)
{
	char first[40] = "user:4242=operator", second[] = "group:7=observer";
	char third[] = "user:9=admin", *rules[] = {first, second, third};
	struct strlist list = {rules, 3};
	struct ctl_peer peer = {.uid = 4242, .gid = 1};
	struct ctl_roles r;
	struct err e;

	(void)state;
	assert_int_equal(ctl_roles_parse(&r, &list, &e), 0);
	assert_int_equal(ctl_roles_of(&r, &peer), CTL_OPERATOR);
	peer.uid = 0;
	assert_int_equal(ctl_roles_of(&r, &peer), CTL_ADMIN);
	peer.uid = 9;
	peer.groups[peer.n_groups++] = 7;
	assert_int_equal(ctl_roles_of(&r, &peer), CTL_OBSERVER); /* the first that fits */
	peer.uid = 10;
	peer.n_groups = 0;
	assert_int_equal(ctl_roles_of(&r, &peer), CTL_NOBODY);
	r.n = 0;
	assert_int_equal(ctl_roles_of(&r, &peer), CTL_OBSERVER);
	strcpy(first, "4242=operator");
	assert_int_equal(ctl_roles_parse(&r, &list, &e), -1);
	strcpy(first, "user:4242=king");
	assert_int_equal(ctl_roles_parse(&r, &list, &e), -1);
	strcpy(first, "user:no-such-user-here=admin");
	assert_int_equal(ctl_roles_parse(&r, &list, &e), -1);
	assert_non_null(strstr(e.text, "no-such-user-here"));
}

static void
test_safe_names(void **state)
{
	static const char *const names[][2] = {
	    {"shop:app", "shop_app"},
	    {"../../etc/passwd", "_._.._etc_passwd"},
	    {".hidden", "_hidden"},
	    {"a-b_c.9", "a-b_c.9"},
	    {"\xc3\xa4", "__"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		file_name_make(names[i][0], text, sizeof(text));
		assert_string_equal(text, names[i][1]);
	}
	file_name_make("0123456789", text, 5);
	assert_string_equal(text, "0123");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_error_line),
	    cmocka_unit_test(test_every_method_has_words),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_roles),
	    cmocka_unit_test(test_safe_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
