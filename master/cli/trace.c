/* The reply of workers.trace as text. SPDX-License-Identifier: MIT */
#include "master/cli/trace.h"

#include "master/cli/value.h"

#include <stdio.h>

static void
put_thread(FILE *f, const json_t *thread)
{
	const json_t *stack = value_at(thread, "stack");
	char id[VALUE_TEXT_MAX];
	size_t i;
	json_t *frame;

	fprintf(f, "thread %s%s%s%s\n", value_raw(value_at(thread, "id"), id),
	    value_at(thread, "name") ? " " : "", value_string(thread, "name", ""),
	    json_is_true(value_at(thread, "current")) ? " (holds the GIL)" : "");
	json_array_foreach(stack, i, frame)
	    fprintf(f, "  %s:%.0f in %s\n", value_string(frame, "file", "?"),
		value_number(frame, "line", 0), value_string(frame, "function", "?"));
}

char *
trace_text(const json_t *reply)
{
	const json_t *threads = value_at(reply, "threads");
	char *text = NULL;
	size_t n, i;
	json_t *thread;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		return NULL;
	fprintf(f, "worker pid %.0f, taken in %.0f us\n", value_number(reply, "pid", 0),
	    value_number(reply, "took_us", 0));
	json_array_foreach(threads, i, thread)
	{
		put_thread(f, thread);
	}
	if (json_array_size(threads) == 0)
		fprintf(
		    f, "%s\n", value_string(reply, "text", "no Python thread runs in it"));
	fclose(f);
	return text;
}
