/* How replies are shown. SPDX-License-Identifier: MIT */
#include "master/cli/views.h"

#define COLUMNS(c) .columns = (c), .n_columns = ARRAY_LEN(c)

static const struct out_column status_fields[] = {
    {"instance", "instance", VALUE_PLAIN},
    {"state", "state", VALUE_STATE},
    {"ready", "ready", VALUE_PLAIN},
    {"generation", "generation", VALUE_PLAIN},
    {"started", "started", VALUE_TIME},
    {"uptime", "uptime_s", VALUE_SECONDS},
    {"master pid", "master.pid", VALUE_PLAIN},
    {"master memory", "master.rss_bytes", VALUE_BYTES},
    {"workers wanted", "workers.target", VALUE_PLAIN},
    {"  ready", "workers.ready", VALUE_PLAIN},
    {"  booting", "workers.booting", VALUE_PLAIN},
    {"  draining", "workers.draining", VALUE_PLAIN},
    {"  failed", "workers.failed", VALUE_PLAIN},
    {"listeners", "listeners", VALUE_PLAIN},
    {"last reload", "last_reload.job", VALUE_PLAIN},
    {"  state", "last_reload.state", VALUE_STATE},
    {"  at", "last_reload.at", VALUE_TIME},
    {"  took", "last_reload.took_s", VALUE_SECONDS},
    {"requests", "totals.requests", VALUE_PLAIN},
    {"  5xx", "totals.errors_5xx", VALUE_PLAIN},
    {"  sent", "totals.bytes_out", VALUE_BYTES},
    {"requests (10 s)", "rates_10s.requests", VALUE_RATE},
    {"  sent", "rates_10s.bytes_out", VALUE_BYTE_RATE},
    {"  received", "rates_10s.bytes_in", VALUE_BYTE_RATE},
    {"alerts", "alerts", VALUE_PLAIN},
};
const struct out_view view_status = {COLUMNS(status_fields)};

static const struct out_column worker_columns[] = {
    {"SLOT", "slot", VALUE_PLAIN},
    {"PID", "pid", VALUE_PLAIN},
    {"GEN", "generation", VALUE_PLAIN},
    {"STATE", "state", VALUE_STATE},
    {"AGE", "age_s", VALUE_SECONDS},
    {"REQUESTS", "requests", VALUE_PLAIN},
    {"IN", "in_flight", VALUE_PLAIN},
    {"CONNS", "connections", VALUE_PLAIN},
    {"RSS", "rss_bytes", VALUE_BYTES},
    {"CPU", "cpu_s", VALUE_SECONDS},
    {"BEAT", "heartbeat_age_s", VALUE_SECONDS},
    {"RESTARTS", "restarts", VALUE_PLAIN},
    {"LAST EXIT", "last_exit.reason", VALUE_PLAIN},
};
const struct out_view view_workers = {
    .rows = "workers", .empty = "no workers", COLUMNS(worker_columns)};

static const struct out_column listener_columns[] = {
    {"NAME", "name", VALUE_PLAIN},
    {"ADDRESS", "addr", VALUE_PLAIN},
    {"TLS", "tls", VALUE_PLAIN},
    {"FD", "fd", VALUE_PLAIN},
    {"BACKLOG", "backlog", VALUE_PLAIN},
    {"QUEUE", "accept_queue", VALUE_PLAIN},
    {"MOST", "accept_queue_max", VALUE_PLAIN},
    {"ACCEPTED", "accepted", VALUE_PLAIN},
};
const struct out_view view_listeners = {
    .rows = "listeners", .empty = "no listeners", COLUMNS(listener_columns)};

static const struct out_column inflight_columns[] = {
    {"WORKER", "worker", VALUE_PLAIN},
    {"ID", "id", VALUE_PLAIN},
    {"AGE", "age_s", VALUE_SECONDS},
    {"PHASE", "phase", VALUE_PLAIN},
    {"CLIENT", "client", VALUE_PLAIN},
    {"ACCOUNT", "account", VALUE_PLAIN},
    {"IN", "bytes_in", VALUE_BYTES},
    {"OUT", "bytes_out", VALUE_BYTES},
    {"METHOD", "method", VALUE_PLAIN},
    {"PATH", "path", VALUE_PLAIN},
};
const struct out_view view_inflight = {
    .rows = "requests", .empty = "no requests in flight", COLUMNS(inflight_columns)};

static const struct out_column job_columns[] = {
    {"JOB", "job", VALUE_PLAIN},
    {"KIND", "kind", VALUE_PLAIN},
    {"STATE", "state", VALUE_STATE},
    {"STARTED", "started", VALUE_TIME},
    {"ENDED", "ended", VALUE_TIME},
    {"FROM", "generation_from", VALUE_PLAIN},
    {"TO", "generation_to", VALUE_PLAIN},
    {"BY", "by.comm", VALUE_PLAIN},
    {"STAGE", "stage", VALUE_PLAIN},
    {"WHY", "why", VALUE_PLAIN},
};
const struct out_view view_jobs = {
    .rows = "jobs", .empty = "no jobs yet", COLUMNS(job_columns)};

static const struct out_column instance_columns[] = {
    {"NAME", "name", VALUE_PLAIN},
    {"STATE", "state", VALUE_STATE},
    {"PID", "pid", VALUE_PLAIN},
    {"GEN", "generation", VALUE_PLAIN},
    {"WORKERS", "workers", VALUE_PLAIN},
    {"UPTIME", "uptime_s", VALUE_SECONDS},
    {"SOCKET", "socket", VALUE_PLAIN},
};
const struct out_view view_instances = {
    .rows = "", .empty = "no instances", COLUMNS(instance_columns)};

static const struct out_column error_columns[] = {
    {"KEY", "path", VALUE_PLAIN},
    {"LINE", "line", VALUE_PLAIN},
    {"COLUMN", "column", VALUE_PLAIN},
    {"WHAT", "message", VALUE_PLAIN},
};
const struct out_view view_errors = {
    .rows = "errors", .empty = "no errors", COLUMNS(error_columns)};

static const struct out_column option_columns[] = {
    {"OPTION", "path", VALUE_PLAIN},
    {"SOURCE", "source", VALUE_PLAIN},
    {"VALUE", "value", VALUE_PLAIN},
};
const struct out_view view_options = {
    .rows = "", .empty = "no options", COLUMNS(option_columns)};

static const struct out_column change_columns[] = {
    {"OPTION", "path", VALUE_PLAIN},
    {"RUNNING", "running", VALUE_PLAIN},
    {"FILE", "file", VALUE_PLAIN},
    {"TAKES", "takes", VALUE_PLAIN},
    {"SOURCE", "source", VALUE_PLAIN},
};
const struct out_view view_changes = {
    .rows = "changes", .empty = "a reload would change nothing", COLUMNS(change_columns)};

static const struct out_column ledger_fields[] = {
    {"ledger", "ledger", VALUE_STATE},
    {"  why", "why", VALUE_PLAIN},
    {"file", "path", VALUE_PLAIN},
    {"node", "node", VALUE_PLAIN},
    {"last flush", "last_flush", VALUE_TIME},
    {"  lag", "lag_s", VALUE_SECONDS},
    {"  took (ms)", "last_flush_ms", VALUE_PLAIN},
    {"  slowest (ms)", "slowest_flush_ms", VALUE_PLAIN},
    {"flushes", "flushes", VALUE_PLAIN},
    {"  failed", "failed_flushes", VALUE_PLAIN},
    {"  waiting records", "pending", VALUE_PLAIN},
    {"tables", "segments", VALUE_PLAIN},
    {"  rows", "rows", VALUE_PLAIN},
    {"  rejected rows", "rejected_rows", VALUE_PLAIN},
    {"  overflow", "overflow_bytes", VALUE_BYTES},
    {"uncertain", "uncertain_bytes", VALUE_BYTES},
    {"late", "late_bytes", VALUE_BYTES},
    {"quotas", "quotas", VALUE_PLAIN},
    {"database", "db_bytes", VALUE_BYTES},
    {"  free disk", "disk_free_bytes", VALUE_BYTES},
};
const struct out_view view_ledger = {COLUMNS(ledger_fields)};

static const struct out_column record_columns[] = {
    {"SEQ", "seq", VALUE_PLAIN},
    {"ID", "id", VALUE_PLAIN},
    {"BUCKET", "bucket", VALUE_PLAIN},
    {"ACCOUNT", "account", VALUE_PLAIN},
    {"LATE", "late", VALUE_PLAIN},
#define ACCT(name, ...) {#name, #name, VALUE_PLAIN},
#include "common/acct.def"
#undef ACCT
};
const struct out_view view_records = {
    .rows = "records", .empty = "no records behind this number", COLUMNS(record_columns)};

static const struct out_column quota_columns[] = {
    {"ACCOUNT", "account", VALUE_PLAIN},
    {"WINDOW", "window", VALUE_PLAIN},
    {"LIMIT", "limit_bytes", VALUE_BYTES},
    {"USED", "used", VALUE_BYTES},
    {"LEFT", "left", VALUE_BYTES},
    {"EXCEEDED", "exceeded", VALUE_YES_NO},
    {"ACTION", "action", VALUE_PLAIN},
    {"RATE", "rate_bytes", VALUE_BYTES},
    {"UNTIL", "until", VALUE_TIME},
};
const struct out_view view_quotas = {
    .rows = "quotas", .empty = "no quotas", COLUMNS(quota_columns)};

static const struct out_column account_columns[] = {
    {"ACCOUNT", "account", VALUE_PLAIN},
    {"REQUESTS", "requests", VALUE_PLAIN},
    {"ABORTED", "aborted", VALUE_PLAIN},
    {"5XX", "err5xx", VALUE_PLAIN},
    {"HEAD OUT", "out_head", VALUE_BYTES},
    {"BODY OUT", "out_body", VALUE_BYTES},
    {"UNDELIVERED", "out_undelivered", VALUE_BYTES},
    {"BODY IN", "in_body", VALUE_BYTES},
    {"THROTTLED", "throttled", VALUE_PLAIN},
    {"UNCERTAIN", "uncertain", VALUE_BYTES},
};
const struct out_view view_accounts = {
    .rows = "accounts", .empty = "no accounts", COLUMNS(account_columns)};

static const struct out_column route_columns[] = {
    {"ROUTE", "route", VALUE_PLAIN},
    {"REQUESTS", "requests", VALUE_PLAIN},
    {"5XX", "errors", VALUE_PLAIN},
    {"P50", "p50_us", VALUE_MICROS},
    {"P99", "p99_us", VALUE_MICROS},
    {"TIME", "sum_s", VALUE_SECONDS},
};
const struct out_view view_routes = {.rows = "routes",
    .empty = "no routes: the application sets none in environ[\"shoal.route\"]",
    COLUMNS(route_columns)};

static const struct out_column busiest_columns[] = {
    {"KEY", "key", VALUE_PLAIN},
    {"REQUESTS", "requests", VALUE_PLAIN},
    {"TOO MANY BY", "error", VALUE_PLAIN},
    {"SENT", "sent_bytes", VALUE_BYTES},
    {"5XX", "errors", VALUE_PLAIN},
};
const struct out_view view_busiest = {
    .rows = "entries", .empty = "no requests", COLUMNS(busiest_columns)};
