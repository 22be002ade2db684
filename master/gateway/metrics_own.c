/* metrics.get as Prometheus reads it. SPDX-License-Identifier: MIT */
#include "master/gateway/metrics_own.h"

#include "master/gateway/metrics_text.h"

struct own {
	FILE *file;
	const char *name, *type;
	bool open_metrics;
};

static bool
ends_in_total(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && strcmp(name + n - 6, "_total") == 0;
}

/* {a="b",le="0.1"}; le may be NULL. */
static void
put_labels(const struct own *o, json_t *labels, const char *le)
{
	const char *name, *before = "{";
	json_t *value;

	json_object_foreach(labels, name, value)
	{
		fputs(before, o->file);
		metrics_put_label(o->file, name, json_string_value(value));
		before = ",";
	}
	if (le != NULL)
		fprintf(o->file, "%sle=\"%s\"", before, le);
	if (le != NULL || before[0] == ',')
		fputc('}', o->file);
}

static void
put_sample(const struct own *o, const char *suffix, json_t *labels, double value)
{
	fprintf(o->file, "%s%s", o->name, suffix);
	put_labels(o, labels, NULL);
	fprintf(o->file, " %.15g\n", value);
}

static void
put_histogram(const struct own *o, json_t *bounds, json_t *series)
{
	json_t *labels = json_object_get(series, "labels"), *n;
	json_int_t sum = 0;
	size_t i;

	json_array_foreach(json_object_get(series, "counts"), i, n)
	{
		char le[32] = "+Inf";

		if (i < json_array_size(bounds))
			snprintf(le, sizeof(le), "%.15g",
			    json_number_value(json_array_get(bounds, i)));
		sum += json_integer_value(n);
		fprintf(o->file, "%s_bucket", o->name);
		put_labels(o, labels, le);
		fprintf(o->file, " %lld\n", (long long)sum);
	}
	put_sample(o, "_sum", labels, json_number_value(json_object_get(series, "sum")));
	put_sample(o, "_count", labels, (double)sum);
}

/* In OpenMetrics a counter ends in _total, and its family does not; one that doesn't is of
 * no known type there. */
static void
put_head(const struct own *o, const char *help)
{
	bool counter = o->open_metrics && strcmp(o->type, "counter") == 0;
	bool total = counter && ends_in_total(o->name);
	int n = (int)strlen(o->name) - (total ? 6 : 0);

	if (help[0] != '\0') {
		fprintf(o->file, "# HELP %.*s ", n, o->name);
		metrics_put_escaped(o->file, help, o->open_metrics);
		fputc('\n', o->file);
	}
	fprintf(o->file, "# TYPE %.*s %s\n", n, o->name,
	    counter && !total ? "unknown" : o->type);
}

void
metrics_own_put(FILE *f, json_t *doc, bool open_metrics)
{
	json_t *bounds = json_object_get(doc, "bounds_s"), *family, *series;
	size_t i, k;

	json_array_foreach(json_object_get(doc, "families"), i, family)
	{
		const char *help = json_string_value(json_object_get(family, "help"));
		const struct own o = {
		    .file = f,
		    .name = json_string_value(json_object_get(family, "name")),
		    .type = json_string_value(json_object_get(family, "type")),
		    .open_metrics = open_metrics,
		};

		/* A worker gone mad could make one that is the server's. */
		if (o.name == NULL || o.type == NULL || help == NULL ||
		    strncmp(o.name, "shoal_", 6) == 0)
			continue;
		put_head(&o, help);
		json_array_foreach(json_object_get(family, "series"), k, series)
		{
			if (strcmp(o.type, "histogram") == 0)
				put_histogram(&o, bounds, series);
			else
				put_sample(&o, "", json_object_get(series, "labels"),
				    json_number_value(json_object_get(series, "value")));
		}
	}
}
