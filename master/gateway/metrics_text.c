/* metrics.def against the master's answers. SPDX-License-Identifier: MIT */
#include "master/gateway/metrics_text.h"

#include "master/gateway/metrics_own.h"

enum source {
	FROM_FAMILY,
	FROM_VALUE,
	FROM_WORKERS,
	FROM_WORKERS_US,
	FROM_LISTENERS,
	FROM_ACCOUNTS,
	FROM_ROUTES,
	FROM_ROUTE_DURATION,
	FROM_MEMBERS,
	FROM_DURATION
};

struct row {
	enum source source;
	enum metrics_doc doc;
	const char *a, *b; /* path and labels; of a family: name and help */
	const char *type;  /* of a family */
};

static const struct row rows[] = {
#define FAMILY(type, name, help) {FROM_FAMILY, 0, name, help, #type},
#define VALUE(doc, path, labels) {FROM_VALUE, METRICS_DOC_##doc, path, labels, NULL},
#define WORKERS(member) {FROM_WORKERS, METRICS_DOC_workers, member, "worker", NULL},
#define WORKERS_US(member) {FROM_WORKERS_US, METRICS_DOC_workers, member, "worker", NULL},
#define LISTENERS(member) {FROM_LISTENERS, METRICS_DOC_listeners, member, "listener", NULL},
#define ACCOUNTS(member) {FROM_ACCOUNTS, METRICS_DOC_accounts, member, "account", NULL},
#define ROUTES(member) {FROM_ROUTES, METRICS_DOC_routes, member, "route", NULL},
#define ROUTE_DURATION(member)                                                             \
	{FROM_ROUTE_DURATION, METRICS_DOC_routes, member, "route", NULL},
#define MEMBERS(doc, path, label) {FROM_MEMBERS, METRICS_DOC_##doc, path, label, NULL},
#define DURATION(name, labels) {FROM_DURATION, 0, name, labels, NULL},
#include "master/gateway/metrics.def"
#undef FAMILY
#undef VALUE
#undef WORKERS
#undef WORKERS_US
#undef LISTENERS
#undef ACCOUNTS
#undef ROUTES
#undef ROUTE_DURATION
#undef MEMBERS
#undef DURATION
};

static const char *const histograms[METRICS_DOCS] = {
    [METRICS_DOC_request] = "request",
    [METRICS_DOC_app] = "app",
    [METRICS_DOC_ttfb] = "ttfb",
};

struct out {
	FILE *file;
	const struct row *family;
	bool open_metrics;
};

static json_t *
find(json_t *doc, const char *path)
{
	char name[64];

	while (doc != NULL && *path != '\0') {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(name))
			return NULL;
		memcpy(name, path, n);
		name[n] = '\0';
		doc = json_object_get(doc, name);
		path += n + (path[n] == '.');
	}
	return doc;
}

void
metrics_put_escaped(FILE *f, const char *text, bool quotes)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (*p == '\\' || (quotes && *p == '"'))
			fputc('\\', f);
		if (*p == '\n')
			fputs("\\n", f);
		else
			fputc(*p, f);
	}
}

void
metrics_put_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	metrics_put_escaped(f, value, true);
	fputc('"', f);
}

static void
put_name(struct out *o, const char *suffix, const char *labels)
{
	fprintf(o->file, "%s%s", o->family->a, suffix);
	if (labels[0] != '\0')
		fprintf(o->file, "{%s}", labels);
	fputc(' ', o->file);
}

static void
put_number(struct out *o, const json_t *v)
{
	if (json_is_integer(v))
		fprintf(o->file, "%lld\n", (long long)json_integer_value(v));
	else if (json_is_real(v))
		fprintf(o->file, "%.15g\n", json_real_value(v));
	else
		fprintf(o->file, "%d\n", json_is_true(v));
}

static bool
is_number(const json_t *v)
{
	return json_is_number(v) || json_is_boolean(v);
}

static const char *
suffix(const struct out *o)
{
	return strcmp(o->family->type, "counter") == 0 ? "_total" : "";
}

static void
put_value(struct out *o, const json_t *v, const char *labels)
{
	if (!is_number(v))
		return;
	put_name(o, suffix(o), labels);
	put_number(o, v);
}

static void
put_labelled(struct out *o, const char *label, const char *value, const json_t *v)
{
	if (!is_number(v))
		return;
	fprintf(o->file, "%s%s{", o->family->a, suffix(o));
	metrics_put_label(o->file, label, value);
	fputs("} ", o->file);
	put_number(o, v);
}

static void
put_worker(struct out *o, const struct row *r, const char *slot, const json_t *v)
{
	json_t *seconds = NULL;

	if (r->source == FROM_WORKERS_US && json_is_number(v))
		seconds = json_real(json_number_value(v) / 1e6);
	put_labelled(o, r->b, slot, seconds ? seconds : v);
	json_decref(seconds);
}

/* While one is replaced by another, the place is the serving one's. */
static void
put_workers(struct out *o, const struct row *r, json_t *doc)
{
	json_t *one;
	char slot[16];
	size_t i;

	json_array_foreach(json_object_get(doc, "workers"), i, one)
	{
		const char *role = json_string_value(json_object_get(one, "role"));

		if (role == NULL || strcmp(role, "serving") != 0)
			continue;
		snprintf(slot, sizeof(slot), "%lld",
		    (long long)json_integer_value(json_object_get(one, "slot")));
		put_worker(o, r, slot, json_object_get(one, r->a));
	}
}

/* Each element of a list, by its name. */
static void
put_list(struct out *o, const struct row *r, const json_t *list, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *value = json_string_value(json_object_get(one, name));

		if (value != NULL)
			put_labelled(o, r->b, value, json_object_get(one, r->a));
	}
}

static void
put_members(struct out *o, const struct row *r, json_t *doc)
{
	const char *key;
	json_t *v;

	json_object_foreach(find(doc, r->a), key, v) put_labelled(o, r->b, key, v);
}

/* labels: of all its series. */
static void
put_histogram(struct out *o, const char *labels, json_t *classic, double sum_s)
{
	json_t *bounds = json_object_get(classic, "bounds_s"), *v;
	const char *comma = labels[0] == '\0' ? "" : ",";
	json_int_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(classic, "counts"), i, v)
	{
		n += json_integer_value(v);
		if (i < json_array_size(bounds))
			fprintf(o->file, "%s_bucket{%s%sle=\"%.15g\"} %lld\n", o->family->a,
			    labels, comma, json_number_value(json_array_get(bounds, i)),
			    (long long)n);
	}
	/* The count is the sum of the classes, so that the two never disagree. */
	fprintf(o->file, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", o->family->a, labels, comma,
	    (long long)n);
	put_name(o, "_sum", labels);
	fprintf(o->file, "%.15g\n", sum_s);
	put_name(o, "_count", labels);
	fprintf(o->file, "%lld\n", (long long)n);
}

static void
put_duration(struct out *o, const struct row *r, json_t *const docs[METRICS_DOCS])
{
	json_t *doc = NULL;

	for (size_t i = 0; i < METRICS_DOCS; i++)
		if (histograms[i] != NULL && strcmp(histograms[i], r->a) == 0)
			doc = docs[i];
	if (json_is_array(find(doc, "classic.counts")))
		put_histogram(o, "", json_object_get(doc, "classic"),
		    json_number_value(json_object_get(doc, "sum_s")));
}

static void
put_route_durations(struct out *o, const struct row *r, const json_t *routes)
{
	json_t *one;
	size_t i;

	json_array_foreach(routes, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "route"));
		char *labels = NULL;
		size_t n;
		FILE *f = name == NULL ? NULL : open_memstream(&labels, &n);

		if (f == NULL)
			continue;
		metrics_put_label(f, r->b, name);
		if (fclose(f) == 0)
			put_histogram(o, labels, json_object_get(one, r->a),
			    json_number_value(json_object_get(one, "sum_s")));
		free(labels);
	}
}

/* OpenMetrics names the family without _total. */
static void
put_family(struct out *o, const struct row *r)
{
	o->family = r;
	fprintf(o->file, "# HELP %s%s %s\n# TYPE %s%s %s\n", r->a,
	    o->open_metrics ? "" : suffix(o), r->b, r->a, o->open_metrics ? "" : suffix(o),
	    r->type);
}

char *
metrics_text(json_t *const docs[METRICS_DOCS], bool open_metrics, size_t *n)
{
	char *text = NULL;
	struct out o = {.file = open_memstream(&text, n),
	    .family = rows, /* the first one is a family */
	    .open_metrics = open_metrics};

	if (o.file == NULL)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		switch (r->source) {
		case FROM_FAMILY:
			put_family(&o, r);
			break;
		case FROM_VALUE:
			put_value(&o, find(docs[r->doc], r->a), r->b);
			break;
		case FROM_WORKERS:
		case FROM_WORKERS_US:
			put_workers(&o, r, docs[r->doc]);
			break;
		case FROM_LISTENERS:
			put_list(&o, r, json_object_get(docs[r->doc], "listeners"), "name");
			break;
		case FROM_ACCOUNTS:
			put_list(
			    &o, r, json_object_get(docs[r->doc], "accounts"), "account");
			break;
		case FROM_ROUTES:
			put_list(&o, r, json_object_get(docs[r->doc], "routes"), "route");
			break;
		case FROM_ROUTE_DURATION:
			put_route_durations(&o, r, json_object_get(docs[r->doc], "routes"));
			break;
		case FROM_MEMBERS:
			put_members(&o, r, docs[r->doc]);
			break;
		case FROM_DURATION:
			put_duration(&o, r, docs);
			break;
		}
	}
	metrics_own_put(o.file, docs[METRICS_DOC_own], open_metrics);
	if (open_metrics)
		fputs("# EOF\n", o.file);
	if (fclose(o.file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
