/* One look at the counters, and rates between two. SPDX-License-Identifier: MIT */
#include "master/cli/sample.h"

#include "master/cli/value.h"

#include <stdio.h>

/* Everything that crossed the wire in this direction. */
static double
sum_bytes(const json_t *totals, const char *direction)
{
	static const char *const parts[] = {"head", "body", "framing", "tls"};
	char name[64];
	double sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		snprintf(name, sizeof(name), "bytes_%s_%s", direction, parts[i]);
		sum += value_number(totals, name, value_number(totals, name + 6, 0));
	}
	return sum;
}

static void
read_classes(struct sample *s, const json_t *stats)
{
	json_t *status = (json_t *)value_at(stats, "status"), *count;
	const char *code;
	char name[64];

	json_object_foreach(status, code, count)
	{
		if (*code >= '1' && *code <= '5')
			s->classes[*code - '0'] += json_number_value(count);
	}
	for (unsigned c = 1; status == NULL && c < ARRAY_LEN(s->classes); c++) {
		snprintf(name, sizeof(name), "totals.responses_%uxx", c);
		s->classes[c] = value_number(stats, name, 0);
	}
}

void
sample_read(struct sample *s, const json_t *stats)
{
	const json_t *totals = value_at(stats, "totals");

	*s = (struct sample){
	    .t = value_number(stats, "t", 0),
	    .requests = value_number(totals, "requests", 0),
	    .in_flight = value_number(totals, "in_flight", 0),
	    .connections = value_number(totals, "connections", 0),
	    .bytes_in = sum_bytes(totals, "in"),
	    .bytes_out = sum_bytes(totals, "out"),
	    .p50 = value_number(stats, "latency.p50", -1),
	    .p90 = value_number(stats, "latency.p90", -1),
	    .p99 = value_number(stats, "latency.p99", -1),
	};
	read_classes(s, stats);
}

double
sample_rate(const struct sample *then, const struct sample *now, double was, double is)
{
	double dt = now->t - then->t;

	return dt > 0 && then->t > 0 && is > was ? (is - was) / dt : 0;
}
