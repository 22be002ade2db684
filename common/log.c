/* The error log: formats one line per event and hands it to the sink.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define LINE_MAX_BYTES 4096

static const struct {
	const char *name;  /* as in the configuration, gunicorn's words */
	const char *label; /* as in the line */
} levels[] = {
    [LOG_LVL_DEBUG] = {"debug", "DEBUG"},
    [LOG_LVL_INFO] = {"info", "INFO"},
    [LOG_LVL_WARN] = {"warning", "WARNING"},
    [LOG_LVL_ERROR] = {"error", "ERROR"},
    [LOG_LVL_CRIT] = {"critical", "CRITICAL"},
};

static void
sink_stderr(const char *line, size_t n)
{
	/* A log line that cannot be written has nowhere to be reported. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

static _Atomic int min_level = LOG_LVL_INFO;
static log_sink_fn *_Atomic sink_fn = sink_stderr;
static log_tap_fn *_Atomic tap_fn;
static _Atomic uint64_t *_Atomic level_counts;

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

void
log_set_sink(log_sink_fn *sink)
{
	atomic_store(&sink_fn, sink ? sink : sink_stderr);
}

void
log_set_tap(log_tap_fn *tap)
{
	atomic_store(&tap_fn, tap);
}

void
log_set_counts(_Atomic uint64_t *counts)
{
	atomic_store(&level_counts, counts);
}

static void
put(enum log_level level, const char *line, size_t n)
{
	log_tap_fn *tap = atomic_load(&tap_fn);

	_Atomic uint64_t *counts = atomic_load(&level_counts);

	atomic_load (&sink_fn)(line, n);
	/* From any thread. */
	if (counts != NULL)
		atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);
	if (tap != NULL)
		tap(level, line, n);
}

enum log_level
log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&min_level, memory_order_relaxed);
}

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}

bool
log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

int
log_level_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		if (strcasecmp(name, levels[i].name) == 0)
			return (int)i;
	return -1;
}

static size_t
format_prefix(
    char *line, size_t max, enum log_level level, const char *sub, const char *event)
{
	time_t now = time(NULL);
	struct tm tm;
	size_t n;

	localtime_r(&now, &tm);
	n = strftime(line, max, "[%Y-%m-%d %H:%M:%S %z] ", &tm);
	return n + (size_t)snprintf(line + n, max - n, "[%d] [%s] %s: %s", (int)getpid(),
		       levels[level].label, sub, event);
}

/* What came from outside must not forge a line or move a terminal's cursor. */
static void
escape_controls(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			p[i] = '?';
}

void
log_event(enum log_level level, const char *sub, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	size_t n;
	int m = 0;

	if (!log_enabled(level))
		return;
	n = format_prefix(line, sizeof(line) - 2, level, sub, event);
	if (fmt != NULL && n < sizeof(line) - 3) {
		va_list ap;

		line[n++] = ' ';
		va_start(ap, fmt);
		m = vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
		va_end(ap);
		n += (size_t)MIN(MAX(m, 0), (int)(sizeof(line) - 2 - n));
	}
	escape_controls(line, n);
	line[n++] = '\n';
	put(level, line, n);
}

void
log_text(enum log_level level, const char *sub, const char *event, struct str text)
{
	char head[512];
	char *all;
	size_t n;

	if (!log_enabled(level))
		return;
	n = format_prefix(head, sizeof(head) - 1, level, sub, event);
	n = MIN(n, sizeof(head) - 2);
	all = malloc(n + text.n + 2);
	if (all == NULL)
		return;
	memcpy(all, head, n);
	all[n++] = '\n';
	memcpy(all + n, text.p, text.n);
	n += text.n;
	if (all[n - 1] != '\n')
		all[n++] = '\n';
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)all[i] < 0x20 && all[i] != '\n' && all[i] != '\t') ||
		    all[i] == 0x7f)
			all[i] = '?';
	put(level, all, n);
	free(all);
}
