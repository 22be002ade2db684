/* metrics.def against the master's answers. SPDX-License-Identifier: MIT */
#include "master/gateway/metrics_text.h"

#include "master/gateway/metrics_own.h"

struct out;
struct row;

typedef void put_fn(struct out *o, const struct row *r, json_t *doc);

static put_fn put_family, put_value, put_members, put_list, put_serving, put_histogram,
    put_histograms;

struct row {
	put_fn *put;
	enum metrics_doc doc;
	const char *path;  /* in the document; of a family: its name */
	const char *value; /* in an element of a list; of a family: its type */
	const char *label; /* or labels; of a family: its help */
};

static const struct row rows[] = {
#define FAMILY(type, name, help) {put_family, 0, name, #type, help},
#define VALUE(doc, path, labels) {put_value, METRICS_DOC_##doc, path, NULL, labels},
#define MEMBERS(doc, path, label) {put_members, METRICS_DOC_##doc, path, NULL, label},
#define LIST(doc, path, value, labels) {put_list, METRICS_DOC_##doc, path, value, labels},
#define WORKERS(value) {put_serving, METRICS_DOC_workers, "workers", value, "worker=slot"},
#define HISTOGRAM(doc, path, labels) {put_histogram, METRICS_DOC_##doc, path, NULL, labels},
#define HISTOGRAMS(doc, path, labels)                                                      \
	{put_histograms, METRICS_DOC_##doc, path, NULL, labels},
#include "master/gateway/metrics.def"
#undef FAMILY
#undef VALUE
#undef MEMBERS
#undef LIST
#undef WORKERS
#undef HISTOGRAM
#undef HISTOGRAMS
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
	fprintf(o->file, "%s%s", o->family->path, suffix);
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
	return strcmp(o->family->value, "counter") == 0 ? "_total" : "";
}

/* labels: without braces, may be "". */
static void
put_sample(struct out *o, const char *labels, const json_t *v)
{
	if (!is_number(v))
		return;
	put_name(o, suffix(o), labels);
	put_number(o, v);
}

static void
put_value(struct out *o, const struct row *r, json_t *doc)
{
	put_sample(o, r->label, find(doc, r->path));
}

static void
put_members(struct out *o, const struct row *r, json_t *doc)
{
	const char *key;
	json_t *v;

	json_object_foreach(find(doc, r->path), key, v)
	{
		char *labels = NULL;
		size_t n;
		FILE *f = open_memstream(&labels, &n);

		if (f == NULL)
			return;
		metrics_put_label(f, r->label, key);
		if (fclose(f) == 0)
			put_sample(o, labels, v);
		free(labels);
	}
}

static bool
put_label_of(FILE *f, const char *label, const json_t *v)
{
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
	if (!json_is_string(v) && !json_is_integer(v))
		return false;
	metrics_put_label(f, label, json_is_string(v) ? json_string_value(v) : number);
	return true;
}

/* spec: "label=member,label=member"; the caller's text, NULL when a member is not there. */
static char *
make_labels(const char *spec, json_t *one)
{
	char *labels = NULL, label[32], member[32];
	size_t n;
	FILE *f = open_memstream(&labels, &n);
	bool good = f != NULL;
	int used = 0;

	while (good && sscanf(spec, "%31[^=]=%31[^,]%n", label, member, &used) == 2) {
		good = put_label_of(f, label, find(one, member));
		spec += used;
		if (*spec == ',') {
			spec++;
			fputc(',', f);
		}
	}
	if (f != NULL && fclose(f) == 0 && good)
		return labels;
	free(labels);
	return NULL;
}

static void
put_element(struct out *o, const struct row *r, json_t *one)
{
	char *labels = make_labels(r->label, one);

	if (labels != NULL)
		put_sample(o, labels, find(one, r->value));
	free(labels);
}

static void
put_list(struct out *o, const struct row *r, json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(find(doc, r->path), i, one) put_element(o, r, one);
}

/* While one is replaced by another, the place is the serving one's. */
static void
put_serving(struct out *o, const struct row *r, json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(find(doc, r->path), i, one)
	{
		const char *role = json_string_value(json_object_get(one, "role"));

		if (role != NULL && strcmp(role, "serving") == 0)
			put_element(o, r, one);
	}
}

static json_t *
find_either(const json_t *of, const char *name, const char *other)
{
	json_t *v = json_object_get(of, name);

	return v != NULL ? v : json_object_get(of, other);
}

/* One of {"classic":{"bounds_s","counts"},"sum_s"}, or the same in bytes. labels: of all
 * its series. */
static void
put_classes(struct out *o, const char *labels, json_t *histogram)
{
	json_t *classic = json_object_get(histogram, "classic"), *v;
	json_t *bounds = find_either(classic, "bounds_s", "bounds_bytes");
	json_t *sum = find_either(histogram, "sum_s", "sum_bytes");
	json_t *counts = json_object_get(classic, "counts");
	const char *comma = labels[0] == '\0' ? "" : ",";
	json_int_t n = 0;
	size_t i;

	if (!json_is_array(counts))
		return;
	json_array_foreach(counts, i, v)
	{
		n += json_integer_value(v);
		if (i < json_array_size(bounds))
			fprintf(o->file, "%s_bucket{%s%sle=\"%.15g\"} %lld\n",
			    o->family->path, labels, comma,
			    json_number_value(json_array_get(bounds, i)), (long long)n);
	}
	/* The count is the sum of the classes, so that the two never disagree. */
	fprintf(o->file, "%s_bucket{%s%sle=\"+Inf\"} %lld\n", o->family->path, labels,
	    comma, (long long)n);
	put_name(o, "_sum", labels);
	put_number(o, sum);
	put_name(o, "_count", labels);
	fprintf(o->file, "%lld\n", (long long)n);
}

static void
put_histogram(struct out *o, const struct row *r, json_t *doc)
{
	put_classes(o, r->label, find(doc, r->path));
}

static void
put_histograms(struct out *o, const struct row *r, json_t *doc)
{
	json_t *one;
	size_t i;

	json_array_foreach(find(doc, r->path), i, one)
	{
		char *labels = make_labels(r->label, one);

		if (labels != NULL)
			put_classes(o, labels, one);
		free(labels);
	}
}

/* OpenMetrics names the family without _total. */
static void
put_family(struct out *o, const struct row *r, json_t *doc)
{
	(void)doc;
	o->family = r;
	fprintf(o->file, "# HELP %s%s %s\n# TYPE %s%s %s\n", r->path,
	    o->open_metrics ? "" : suffix(o), r->label, r->path,
	    o->open_metrics ? "" : suffix(o), r->value);
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
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		rows[i].put(&o, &rows[i], docs[rows[i].doc]);
	metrics_own_put(o.file, docs[METRICS_DOC_own], open_metrics);
	if (open_metrics)
		fputs("# EOF\n", o.file);
	if (fclose(o.file) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
