/* Every method has an example in shoal-control(7), and what it sends fits the table.
 * SPDX-License-Identifier: MIT */
#include "common/ctl_table.h"
#include "master/cli/verb.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
	const char *params, *result;
} examples[CTL_METHODS] = {
#define EXAMPLE(ident, params, result) [CTL_M_##ident] = {params, result},
#include "docs/gen/control_examples.def"
#undef EXAMPLE
};

static const struct ctl_param *
find_param(unsigned m, const char *name)
{
	for (size_t i = 0; i < ctl_n_params; i++)
		if (ctl_params[i].method == m && strcmp(ctl_params[i].name, name) == 0)
			return &ctl_params[i];
	return NULL;
}

static void
check_params(unsigned m, json_t *params)
{
	json_t *v;
	const char *name;

	json_object_foreach(params, name, v)
	{
		if (find_param(m, name) == NULL)
			fail_msg("%s: no parameter %s", ctl_methods[m].name, name);
	}
	for (size_t i = 0; i < ctl_n_params; i++)
		if (ctl_params[i].method == m && ctl_params[i].required &&
		    json_object_get(params, ctl_params[i].name) == NULL)
			fail_msg(
			    "%s: %s is missing", ctl_methods[m].name, ctl_params[i].name);
}

static void
test_examples_fit_the_table(void **state)
{
	(void)state;
	for (unsigned m = 0; m < CTL_METHODS; m++) {
		json_t *params =
		    json_loads(examples[m].params ? examples[m].params : "{}", 0, NULL);
		json_t *result =
		    examples[m].result ? json_loads(examples[m].result, 0, NULL) : NULL;

		if (!json_is_object(params) || !json_is_object(result))
			fail_msg("%s: no example", ctl_methods[m].name);
		check_params(m, params);
		json_decref(params);
		json_decref(result);
	}
}

/* What a verb would send is known to the server. */
static void
test_verbs_fit_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *v = &verbs[i];
		const struct ctl_method *m = v->method ? ctl_table_find(v->method) : NULL;

		assert_non_null(v->run);
		if (v->method == NULL)
			continue;
		if (m == NULL)
			fail_msg("%s: no method %s", v->name, v->method);
		for (size_t f = 0; f < VERB_FLAGS; f++)
			if (v->flags[f].param != NULL &&
			    find_param((unsigned)(m - ctl_methods), v->flags[f].param) ==
				NULL)
				fail_msg("%s: no parameter %s", v->name, v->flags[f].param);
		for (size_t p = 0; p < VERB_POSITIONS; p++)
			if (v->positions[p].param != NULL &&
			    find_param(
				(unsigned)(m - ctl_methods), v->positions[p].param) == NULL)
				fail_msg(
				    "%s: no parameter %s", v->name, v->positions[p].param);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples_fit_the_table),
	    cmocka_unit_test(test_verbs_fit_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
