/* Fuzzes query strings for the gateway: parameters in types the control protocol knows, or
 * nothing. The first byte chooses the method.
 * SPDX-License-Identifier: MIT */
#include "master/gateway/query.h"
#include "tests/fuzz/support.h"

static bool
is_clean(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static void
check_value(const json_t *v)
{
	size_t i;
	json_t *one;

	FUZZ_CHECK(!json_is_object(v) && !json_is_null(v));
	if (json_is_string(v))
		FUZZ_CHECK(is_clean(json_string_value(v)));
	FUZZ_CHECK(json_array_size(v) <= CTL_LIST_MAX);
	json_array_foreach(v, i, one)
	{
		FUZZ_CHECK(json_is_string(one) || json_is_integer(one));
		check_value(one);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t first = n > 0;
	const struct ctl_method *method = &ctl_methods[n > 0 ? data[0] % CTL_METHODS : 0];
	struct str query = {fuzz_copy(data + first, n - first), n - first};
	json_t *v = query_params(method, query);
	const char *name;
	json_t *value;

	json_object_foreach(v, name, value)
	{
		FUZZ_CHECK(is_clean(name));
		check_value(value);
	}
	if (v != NULL) {
		/* No byte of a control character is part of anything that is taken. */
		for (size_t i = 0; i < query.n; i++)
			FUZZ_CHECK((unsigned char)query.p[i] >= ' ' && query.p[i] != 0x7f);
		/* What is taken can be sent on: it is JSON. */
		char *line = json_dumps(v, JSON_COMPACT);

		FUZZ_CHECK(line != NULL);
		free(line);
	}
	json_decref(v);
	free((char *)query.p);
	return 0;
}
