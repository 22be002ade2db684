/* What accounts used: pages of the ledger as one table, TSV or CSV.
 * SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"

#include <stdio.h>
#include <time.h>

#define COLUMNS_MAX 24

static const char date_form[] = "YYYY-MM-DD";

/* The day behind "2026-11-21", or the month behind "2026-11"; -1: it is neither. */
static int
next_of(const char *text, bool month, char *buf, size_t max)
{
	struct tm tm = {.tm_mday = 1};
	const char *end = strptime(text, month ? "%Y-%m" : "%Y-%m-%d", &tm);

	if (end == NULL || *end != '\0' || strlen(text) != (month ? 7 : 10))
		return -1;
	tm.tm_mon += month;
	tm.tm_mday += !month;
	timegm(&tm);
	return strftime(buf, max, "%Y-%m-%d", &tm) > 0 ? 0 : -1;
}

/* --month and --day as from and to. */
static int
set_range(const struct args *a)
{
	static const char *const names[] = {"day", "month"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *text = json_string_value(args_local(a, names[i]));
		char next[32];

		if (text == NULL)
			continue;
		if (json_object_get(a->params, "from") ||
		    json_object_get(a->params, "to")) {
			cli_say(
			    "--%s says from when to when; leave the others out", names[i]);
			return CLI_USAGE;
		}
		if (next_of(text, i == 1, next, sizeof(next)) < 0) {
			cli_say("--%s: '%s' is not of the form %.*s", names[i], text,
			    i == 1 ? 7 : 10, date_form);
			return CLI_USAGE;
		}
		json_object_set_new(a->params, "from", json_string(text));
		json_object_set_new(a->params, "to", json_string(next));
	}
	return CLI_OK;
}

/* ---- Rows as objects, as tables want them ---- */

static json_t *
bucket_text(const json_t *v)
{
	time_t t = (time_t)json_integer_value(v);
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%MZ", &tm);
	return json_string(text);
}

static void
add_rows(json_t *list, const json_t *page)
{
	const json_t *names = json_object_get(page, "columns");
	const json_t *rows = json_object_get(page, "rows");

	for (size_t r = 0; r < json_array_size(rows); r++) {
		const json_t *row = json_array_get(rows, r);
		json_t *v = json_object();

		for (size_t i = 0; i < json_array_size(names); i++) {
			const char *name = json_string_value(json_array_get(names, i));
			json_t *one = json_array_get(row, i);

			if (name != NULL && strcmp(name, "bucket") == 0)
				json_object_set_new(v, name, bucket_text(one));
			else if (name != NULL)
				json_object_set(v, name, one);
		}
		json_array_append_new(list, v);
	}
}

/* A name that begins like a formula would be one in a spreadsheet; the apostrophe says that
 * it is text. */
static bool
is_formula(const json_t *v)
{
	const char *text = json_string_value(v);

	return text != NULL && text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;
}

static void
put_csv(FILE *f, const char *text)
{
	bool quoted = strpbrk(text, ",\"\r\n") != NULL;

	if (quoted)
		fputc('"', f);
	for (; *text != '\0'; text++)
		fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, f);
	if (quoted)
		fputc('"', f);
}

static void
print_csv(struct cli *c, const json_t *names, const json_t *list)
{
	size_t n = json_array_size(names);

	for (size_t r = 0; r <= json_array_size(list); r++)
		for (size_t i = 0; i < n; i++) {
			const char *name = json_string_value(json_array_get(names, i));
			const json_t *v =
			    json_object_get(json_array_get(list, r - 1), name);
			char text[VALUE_TEXT_MAX], cell[VALUE_TEXT_MAX + 2];

			snprintf(cell, sizeof(cell), "%s%s", r && is_formula(v) ? "'" : "",
			    r ? value_raw(v, text) : name);
			put_csv(c->out.f, cell);
			fputs(i + 1 < n ? "," : "\r\n", c->out.f);
		}
}

static void
print_table(struct cli *c, const json_t *names, const json_t *list)
{
	struct out_column columns[COLUMNS_MAX];
	struct out_view view = {
	    .rows = "", .empty = "nothing was counted in this time", .columns = columns};

	for (size_t i = 0; i < json_array_size(names) && i < COLUMNS_MAX; i++) {
		const char *name = json_string_value(json_array_get(names, i));
		size_t len = strlen(name);
		bool bytes = len > 6 && strcmp(name + len - 6, "_bytes") == 0;

		columns[view.n_columns++] =
		    (struct out_column){name, name, bytes ? VALUE_BYTES : VALUE_PLAIN};
	}
	out_table(&c->out, &view, list);
}

/* All pages. CLI_OK: names and list are filled in. */
static int
fetch(struct cli *c, const struct args *a, json_t **names, json_t *list, json_t **last)
{
	struct link_msg m = {0};
	int code = CLI_OK;

	for (bool more = true; more && code == CLI_OK;) {
		const json_t *page, *cursor;

		code = cli_call(c, a->verb->method, a->params, &m);
		if (code != CLI_OK)
			break;
		page = link_msg_result(&m);
		cursor = json_object_get(page, "cursor");
		json_decref(*names);
		*names = json_deep_copy(json_object_get(page, "columns"));
		json_decref(*last);
		*last = json_copy((json_t *)page);
		add_rows(list, page);
		more = json_is_string(cursor) && !json_object_get(a->params, "limit");
		if (more)
			json_object_set(a->params, "cursor", (json_t *)cursor);
		if (!out_for_people(&c->out))
			cli_show(c, NULL, &m);
		link_msg_finish(&m);
	}
	link_msg_finish(&m);
	return code;
}

int
verb_usage(struct cli *c, const struct args *a)
{
	json_t *names = NULL, *last = NULL, *list = json_array();
	int code = set_range(a);

	if (code == CLI_OK)
		code = cli_connect(c);
	if (code == CLI_OK) {
		json_object_set_new(a->params, "include_open", json_true());
		code = fetch(c, a, &names, list, &last);
	}
	if (code == CLI_OK && args_has(a, "csv"))
		print_csv(c, names, list);
	else if (code == CLI_OK && out_for_people(&c->out))
		print_table(c, names, list);
	if (code == CLI_OK && c->out.terminal && out_for_people(&c->out)) {
		char text[64];

		out_line(&c->out, "complete until %s",
		    value_time(
			value_number(last, "complete_until", 0), true, text, sizeof(text)));
	}
	json_decref(names);
	json_decref(last);
	json_decref(list);
	return code;
}
