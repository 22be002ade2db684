/* What the configuration prints: every option once, 80 columns, values with origins.
 * SPDX-License-Identifier: MIT */
#include "common/conf_file.h"
#include "common/conf_help.h"
#include "common/conf_option.h"
#include "tests/unit/conf_input.h"

static char *
print(void (*fn)(FILE *out))
{
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);

	assert_non_null(out);
	fn(out);
	fclose(out);
	return text;
}

static void
test_usage(void **state)
{
	char *text = print(conf_help_usage);

	(void)state;
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		const struct conf_option *o = &conf_options[i];
		bool on = o->type == CONF_T_BOOL && o->def_num != 0;
		char name[CONF_KEY_MAX + 8];

		snprintf(name, sizeof(name), "--%s%s", on ? "no-" : "", o->name);
		if (strstr(text, name) == NULL)
			fail_msg("%s is missing", name);
	}
	for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;)
		if (strlen(line) > 80)
			fail_msg("longer than 80 columns: %s", line);
	free(text);
}

static void
print_version(FILE *out)
{
	conf_help_version(out, "2.1.12");
}

static void
test_version(void **state)
{
	char *text = print(print_version);

	(void)state;
	assert_string_equal(strtok(text, "\n"), "shoal " SHOAL_VERSION);
	assert_string_equal(strtok(NULL, "\n"), "libevent 2.1.12");
	assert_int_equal(strncmp(strtok(NULL, "\n"), "jansson 2.", 10), 0);
	free(text);
}

static struct conf shown;

static void
print_shown(FILE *out)
{
	conf_help_config(out, &shown);
}

static void
test_config(void **state)
{
	struct input in = {A("a:b", "-t90", "-e", "A=\"1\""), E("SHOAL_UMASK=022")};
	static const char *const lines[] = {
	    "app = a:b\n",
	    "\n# Timeouts\n",
	    "\ntimeout = \"1m30s\"   # command line\n",
	    "\nenv = [\"A=\\\"1\\\"\"]   # command line\n",
	    "\numask = \"022\"   # SHOAL_UMASK\n",
	    "\nworkers = 1   # default\n",
	    "\nsocket_mode = \"0666\"   # default\n",
	};
	struct conf_action action;
	struct err e;
	char *text;

	(void)state;
	assert_int_equal(load(&shown, &in, &action, &e), 0);
	text = print(print_shown);
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("missing: %s\nin: %s", lines[i], text);
	free(text);
	conf_finish(&shown);
	conf_action_finish(&action);
}

/* Every default, printed, is a value that its option takes. */
static void
test_defaults_read_back(void **state)
{
	struct conf a, b;
	struct err e;
	json_t *first, *second;
	char *text;

	(void)state;
	conf_init(&a);
	conf_init(&b);
	first = conf_to_json(&a);
	assert_int_equal(conf_from_json(&b, first, &e), 0);
	second = conf_to_json(&b);
	assert_true(json_equal(first, second));
	json_object_del(first, "app");
	json_object_del(first, "config_file");
	json_object_del(first, "hooks");
	text = json_dumps(first, 0);
	conf_finish(&b);
	conf_init(&b);
	if (conf_file_apply_json(&b, "x", str_of(text), &e) != 0)
		fail_msg("%s", e.text);
	free(text);
	json_decref(first);
	json_decref(second);
	conf_finish(&a);
	conf_finish(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_version),
	    cmocka_unit_test(test_config),
	    cmocka_unit_test(test_defaults_read_back),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
