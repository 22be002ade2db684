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
#define WORKERS(member) {NULL, NULL, NULL, "worker"},
#define WORKERS_US(member) {NULL, NULL, NULL, "worker"},
#define LISTENERS(member) {NULL, NULL, NULL, "listener"},
#define ACCOUNTS(member) {NULL, NULL, NULL, "account"},
#define ROUTES(member) {NULL, NULL, NULL, "route"},
#define ROUTE_DURATION(member) {NULL, NULL, NULL, "route"},
#define MEMBERS(doc, path, label) {NULL, NULL, NULL, label},
#define DURATION(name, label) {NULL, NULL, NULL, label},
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

/* "kind=\"head\"" or "worker": the name alone. */
static void
put_label(FILE *out, const char *label)
{
	fprintf(out, "%.*s", (int)strcspn(label, "="), label);
}

void
gen_metrics(FILE *out)
{
	fputs("<!-- Made by scripts/gen-docs from master/gateway/metrics.def; do not edit. "
	      "-->\n\n# Metrics\n\n| name | type | label | meaning |\n"
	      "| --- | --- | --- | --- |\n",
	    out);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];

		if (r->name == NULL)
			continue;
		fprintf(out, "| `%s%s` | %s | ", r->name,
		    strcmp(r->type, "counter") == 0 ? "_total" : "", r->type);
		put_label(out, rows[i + 1].label);
		fprintf(out, " | %s |\n", r->help);
	}
}
