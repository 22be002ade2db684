/* Fuzzes the line protocol of the control socket: every line is taken, with parameters that
 * fit the table, or refused with an error that is itself a line of JSON.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "tests/fuzz/check.h"

static void
check_refused(struct ctl_request *r)
{
	char *line = ctl_error_line(r->id, r->kind, r->data, r->why);
	json_t *v;

	r->data = NULL;
	FUZZ_CHECK(line != NULL && strchr(line, '\n') == line + strlen(line) - 1);
	v = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	FUZZ_CHECK(json_is_object(json_object_get(v, "error")));
	FUZZ_CHECK(r->why[0] != '\0');
	json_decref(v);
	free(line);
}

static void
check_taken(const struct ctl_request *r, enum ctl_role role)
{
	FUZZ_CHECK(r->method != NULL && role >= r->method->role);
	FUZZ_CHECK(json_is_object(r->params));
	/* What a method reads is there, with its type. */
	for (size_t i = 0; i < ctl_n_params; i++)
		if (&ctl_methods[ctl_params[i].method] == r->method &&
		    ctl_params[i].required)
			FUZZ_CHECK(json_object_get(r->params, ctl_params[i].name) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum ctl_role role = n > 0 ? (enum ctl_role)(data[0] % CTL_ROLES) : CTL_NOBODY;
	size_t at = n > 0;

	while (at < n) {
		const uint8_t *end = memchr(data + at, '\n', n - at);
		size_t len = (end ? (size_t)(end - data) : n) - at;
		char *line = fuzz_copy(data + at, len);
		struct ctl_request r;

		if (ctl_request_parse(&r, line, len, role) < 0)
			check_refused(&r);
		else
			check_taken(&r, role);
		ctl_request_finish(&r);
		free(line);
		at += len + 1;
	}
	return 0;
}
