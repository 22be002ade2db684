/* The metrics of the gateway as Markdown, from metrics.def.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/base.h"

/* Rows of one family stand together, the family first: its labels are those of the rows. */
static const struct row {
	const char *type, *name, *help, *label;
} rows[] = {
#define FAMILY(type, name, help) {#type, name, help, NULL},
#define VALUE(doc, path, label) {NULL, NULL, NULL, label},
#define MEMBERS(doc, path, label) {NULL, NULL, NULL, label},
#define LIST(doc, path, value, labels) {NULL, NULL, NULL, labels},
#define WORKERS(value) {NULL, NULL, NULL, "worker=slot"},
#define HISTOGRAM(doc, path, labels) {NULL, NULL, NULL, labels},
#define HISTOGRAMS(doc, path, labels) {NULL, NULL, NULL, labels},
#include "master/gateway/metrics.def"
#undef FAMILY
#undef VALUE
#undef MEMBERS
#undef LIST
#undef WORKERS
#undef HISTOGRAM
#undef HISTOGRAMS
};

/* "kind=\"head\"", "worker=slot,reason=why" or "code": the names alone. */
static void
put_labels(FILE *out, const char *labels)
{
	while (*labels != '\0') {
		fprintf(out, "%.*s", (int)strcspn(labels, "=,"), labels);
		labels += strcspn(labels, ",");
		if (*labels == ',')
			fputs(", ", out), labels++;
	}
}

void
gen_metrics(FILE *out)
{
	fputs("<!-- Made by scripts/gen-docs from master/gateway/metrics.def; do not edit. "
	      "-->\n\n# Metrics\n\n| name | type | labels | meaning |\n"
	      "| --- | --- | --- | --- |\n",
	    out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		if (r->name == NULL)
			continue;
		fprintf(out, "| `%s%s` | %s | ", r->name,
		    strcmp(r->type, "counter") == 0 ? "_total" : "", r->type);
		put_labels(out, rows[i + 1].label);
		fprintf(out, " | %s |\n", r->help);
	}
}
