/* Access-log records: a format compiled once into steps, a record written per request.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct access_format;
struct req;

/*
 * spec: NULL or "combined" (Apache's combined), "json", "eventlet" (eventlet.wsgi's
 * default), a gunicorn format ("%(h)s %(l)s ..." with its atoms and %({name}i)s request
 * headers; more in wsgi.md), or an eventlet one ("%(client_ip)s - - [%(date_time)s] ...").
 * Unknown atoms are an error that names them.
 */
NODISCARD struct access_format *access_format_create(
    const char *spec, bool forwarded_for, struct err *e);
/* Its records show what the client acknowledged, see access_line_fill(). */
bool access_format_waits(const struct access_format *f);
void access_format_destroy(struct access_format *f);

/* One record with its newline into buf; returns its length (cut at cap, newline kept).
 * Everything from outside is escaped (http.md 45). I/O thread. `now_unix_us`: wall clock at
 * the end of the request. */
size_t access_format_record(struct access_format *f, const struct req *r,
    int64_t now_unix_us, char *buf, size_t cap);
/* A record that was made before r->settled has a NUL byte for each %(acked)s. Copies it
 * with the number instead; returns the length, cut as above. */
size_t access_line_fill(const char *line, size_t n, uint64_t acked, char *buf, size_t cap);
