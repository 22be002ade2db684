/* What methods ask of their call: parameters, the caller, the time.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"

#include <stdio.h>
#include <time.h>

bool
ctl_has_param(const struct ctl_call *call, const char *name)
{
	return json_object_get(call->params, name) != NULL;
}

const char *
ctl_param_str(const struct ctl_call *call, const char *name, const char *fallback)
{
	const json_t *v = json_object_get(call->params, name);

	return v ? json_string_value(v) : fallback;
}

int64_t
ctl_param_int(const struct ctl_call *call, const char *name, int64_t fallback)
{
	const json_t *v = json_object_get(call->params, name);

	return v ? json_integer_value(v) : fallback;
}

double
ctl_param_num(const struct ctl_call *call, const char *name, double fallback)
{
	const json_t *v = json_object_get(call->params, name);

	return v ? json_number_value(v) : fallback;
}

int64_t
ctl_param_ms(const struct ctl_call *call, const char *name, int64_t fallback_ms)
{
	const json_t *v = json_object_get(call->params, name);

	/* The table's bounds keep the product far from overflow. */
	return v ? (int64_t)(json_number_value(v) * 1000) : fallback_ms;
}

bool
ctl_param_bool(const struct ctl_call *call, const char *name, bool fallback)
{
	const json_t *v = json_object_get(call->params, name);

	return v ? json_is_true(v) : fallback;
}

bool
ctl_param_selects(const struct ctl_call *call, const char *name, const char *word)
{
	const json_t *list = json_object_get(call->params, name);

	if (list == NULL)
		return true;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), word) == 0)
			return true;
	return false;
}

struct job_by
ctl_by(const struct ctl_call *call)
{
	struct job_by by = {.uid = call->peer.uid, .pid = call->peer.pid};

	snprintf(by.comm, sizeof(by.comm), "%s", call->peer.comm);
	return by;
}

double
ctl_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
}

uint32_t
ctl_digest(const json_t *v)
{
	AUTO_FREE char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	uint32_t hash = 2166136261u; /* FNV-1a: tells values apart, protects nothing */

	for (const char *p = text; p != NULL && *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return hash;
}

json_t *
ctl_text(struct str s)
{
	json_t *v = json_stringn(s.p, s.n);
	char *copy;

	if (v != NULL)
		return v;
	copy = malloc(s.n + 1);
	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < s.n; i++)
		copy[i] = (unsigned char)s.p[i] < 0x80 ? s.p[i] : '?';
	v = json_stringn(copy, s.n);
	free(copy);
	return v;
}
