/* The command line is rewritten inside its own room, and the environment survives it.
 * SPDX-License-Identifier: MIT */
#include "common/title.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern char **environ;

/* As the kernel lays it out, with a canary behind. */
static char block[] = "shoal\0-w\0"
		      "4\0SHOP=open\0canary";
static char *argv[] = {block, block + 6, block + 9, NULL};
static char *env[] = {block + 11, NULL};

static void
test_title(void **state)
{
	char **before = environ;

	(void)state;
	environ = env;
	title_init(3, argv);
	title_set("shoal: master", "a name much longer than the room there is");
	assert_memory_equal(block, "shoal: master [a nam", 20);
	assert_int_equal(block[20], '\0');
	assert_string_equal(block + 21, "canary");
	assert_string_equal(getenv("SHOP"), "open");
	title_set("shoal: master", "x");
	assert_string_equal(block, "shoal: master [x]");
	assert_memory_equal(block + 17, "\0\0\0\0canary", 10);
	environ = before;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_title),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
