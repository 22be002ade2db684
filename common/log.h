/* The error log: one line per event, made of a subsystem, a fixed text and key=value pairs.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum log_level {
	LOG_LVL_DEBUG,
	LOG_LVL_INFO,
	LOG_LVL_WARN,
	LOG_LVL_ERROR,
	LOG_LVL_CRIT,
	LOG_LEVELS
};

/* Where finished lines go (with their newline). Called from any thread; must not block
 * for long. The default writes to descriptor 2. */
typedef void log_sink_fn(const char *line, size_t n);

/* Sees each finished line after the sink did; NULL: nobody. May itself log. */
typedef void log_tap_fn(enum log_level level, const char *line, size_t n);

/* Where lines are counted, by level; NULL: nowhere. */
void log_set_counts(_Atomic uint64_t *counts);
void log_set_level(enum log_level level);
void log_set_sink(log_sink_fn *sink);
void log_set_tap(log_tap_fn *tap);
enum log_level log_get_level(void);
const char *log_level_name(enum log_level level);
bool log_enabled(enum log_level level);
/* Parses gunicorn's names (debug info warning error critical); -1 when it is none. */
int log_level_parse(const char *name);

/*
 * [2026-11-21 08:47:00 +0000] [1234] [WARNING] tls: handshake failed peer=10.0.0.7 ...
 * The event text is an interface: fixed words, no values in it. `fmt` gives the key=value
 * pairs (NULL for none); bytes from outside in it are escaped (control characters, DEL).
 * Multi-line text (a traceback) goes through log_text.
 */
void log_event(enum log_level level, const char *subsystem, const char *event,
    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* As log_event with `text` on its own lines below; line breaks in `text` are kept. */
void log_text(
    enum log_level level, const char *subsystem, const char *event, struct str text);

#define log_debug(sub, ev, ...) log_event(LOG_LVL_DEBUG, sub, ev, __VA_ARGS__)
#define log_info(sub, ev, ...) log_event(LOG_LVL_INFO, sub, ev, __VA_ARGS__)
#define log_warn(sub, ev, ...) log_event(LOG_LVL_WARN, sub, ev, __VA_ARGS__)
#define log_error(sub, ev, ...) log_event(LOG_LVL_ERROR, sub, ev, __VA_ARGS__)
#define log_crit(sub, ev, ...) log_event(LOG_LVL_CRIT, sub, ev, __VA_ARGS__)
