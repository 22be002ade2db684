/* Requests of the master: which there are, and how they are answered.
 * SPDX-License-Identifier: MIT */
#include "master/ledger/ledger.h"
#include "master/ledger/quotas.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/statvfs.h>

static json_t *ping(struct ledger *l, const json_t *params, struct fault *f);
static json_t *flush(struct ledger *l, const json_t *params, struct fault *f);

static const struct {
	const char *name;
	json_t *(*fn)(struct ledger *l, const json_t *params, struct fault *f);
} methods[] = {
    {"ledger.ping", ping},
    {"accounting.query", ledger_query},
    {"accounting.status", ledger_status},
    {"accounting.flush", flush},
    {"accounting.export", ledger_export},
    {"accounting.adjust", ledger_adjust},
    {"quota.set", ledger_quota_set},
    {"quota.unset", ledger_quota_unset},
    {"quota.list", ledger_quota_list},
    {"quota.get", ledger_quota_get},
};

const char *
ledger_param_text(const json_t *params, const char *name, const char *none)
{
	const char *text = json_string_value(json_object_get(params, name));

	return text ? text : none;
}

int64_t
ledger_param_int(const json_t *params, const char *name, int64_t none)
{
	const json_t *v = json_object_get(params, name);

	return json_is_integer(v) ? json_integer_value(v) : none;
}

json_t *
ledger_refuse(struct fault *f, const char *kind, const char *fmt, ...)
{
	va_list ap;

	f->kind = kind;
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
	return NULL;
}

json_t *
ledger_refuse_param(
    struct fault *f, const char *param, const char *expected, const char *method)
{
	f->param = param;
	f->expected = expected;
	return ledger_refuse(
	    f, "invalid_params", "%s: %s must be %s", method, param, expected);
}

static json_t *
fault_to_json(const struct fault *f)
{
	json_t *data = json_object();

	if (f->param != NULL)
		json_object_set_new(data, "param", json_string(f->param));
	if (f->expected != NULL)
		json_object_set_new(data, "expected", json_string(f->expected));
	return json_pack(
	    "{s:s, s:s, s:o}", "kind", f->kind, "message", f->message, "data", data);
}

void
ledger_answer(struct ledger *l, const json_t *line)
{
	json_int_t id = json_integer_value(json_object_get(line, "id"));
	const char *method = ledger_param_text(line, "method", "");
	struct fault f = {.kind = "internal", .message = "out of memory"};
	json_t *result = NULL;
	size_t i = 0;

	while (i < ARRAY_LEN(methods) && strcmp(methods[i].name, method) != 0)
		i++;
	if (i < ARRAY_LEN(methods))
		result = methods[i].fn(l, json_object_get(line, "params"), &f);
	else
		ledger_refuse(&f, "unknown_method", "the ledger has no method %s", method);
	wire_send(&l->wire,
	    result ? json_pack("{s:I, s:o}", "id", id, "result", result)
		   : json_pack("{s:I, s:o}", "id", id, "error", fault_to_json(&f)));
}

static json_t *
ping(struct ledger *l, const json_t *params, struct fault *f)
{
	(void)l, (void)params, (void)f;
	return json_object();
}

static json_t *
flush(struct ledger *l, const json_t *params, struct fault *f)
{
	(void)params;
	if (ledger_flush(l, true) < 0)
		return ledger_refuse(f, "failed_precondition",
		    "the ledger cannot be written: %s; counting goes on in memory", l->why);
	return json_pack("{s:I, s:f, s:f}", "flush", (json_int_t)l->flushes, "took_ms",
	    l->last_took_ms, "complete_until", l->complete_until);
}

json_int_t
ledger_disk_free(const struct ledger *l)
{
	char dir[sizeof(l->store.path)];
	struct statvfs st;
	char *slash;

	snprintf(dir, sizeof(dir), "%s", l->store.path);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	return statvfs(dir, &st) == 0 ? (json_int_t)(st.f_bavail * st.f_frsize) : -1;
}

json_int_t
ledger_database_size(struct ledger *l)
{
	json_int_t size = 0;
	sqlite3_stmt *q;
	struct err e;

	if (l->store.db == NULL ||
	    store_prepare(&l->store, &q,
		"SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
		&e) < 0)
		return 0;
	if (sqlite3_step(q) == SQLITE_ROW)
		size = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return size;
}

void
ledger_tell_counts(struct ledger *l)
{
	ledger_event(l, LEDGER_COUNTS_EVENT,
	    json_pack("{s:o, s:f, s:I, s:I, s:I}", "counts",
		ledger_counts_to_json(&l->counts), "complete_until", l->complete_until,
		"database_bytes", ledger_database_size(l), "outbox_records",
		(json_int_t)l->store.outbox_records, "disk_free_bytes",
		ledger_disk_free(l)));
}

json_t *
ledger_status(struct ledger *l, const json_t *params, struct fault *f)
{
	json_t *v = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f}", "ledger",
	    l->failing ? "failing" : "ok", "path", l->store.path, "node", l->store.node,
	    "lag_s", MAX(ledger_now() - l->complete_until, 0.0), "last_flush",
	    l->complete_until, "last_flush_ms", l->last_took_ms, "slowest_flush_ms",
	    l->max_took_ms);

	(void)params, (void)f;
	if (v == NULL)
		return NULL;
	json_object_set_new(v, "flushes", json_integer((json_int_t)l->flushes));
	json_object_set_new(
	    v, "failed_flushes", json_integer((json_int_t)l->failed_flushes));
	json_object_set_new(v, "pending", json_integer((json_int_t)l->segments.n_pending));
	json_object_set_new(v, "segments", json_integer((json_int_t)l->segments.n));
	json_object_set_new(
	    v, "rows", json_integer((json_int_t)segments_count_rows(&l->segments)));
	json_object_set_new(v, "rejected_rows", json_integer((json_int_t)l->flagged));
	json_object_set_new(
	    v, "overflow_bytes", json_integer((json_int_t)l->segments.overflow_bytes));
	json_object_set_new(
	    v, "uncertain_bytes", json_integer((json_int_t)l->segments.uncertain));
	json_object_set_new(
	    v, "late_bytes", json_integer((json_int_t)l->counts.count[LEDGER_late_bytes]));
	json_object_set_new(
	    v, "quotas", json_integer((json_int_t)quotas_number(l->quotas)));
	json_object_set_new(v, "db_bytes", json_integer(ledger_database_size(l)));
	json_object_set_new(v, "outbox_records", json_integer(l->store.outbox_records));
	json_object_set_new(v, "disk_free_bytes", json_integer(ledger_disk_free(l)));
	if (l->failing)
		json_object_set_new(v, "why", json_string(l->why));
	return v;
}
