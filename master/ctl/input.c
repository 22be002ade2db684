/* What a client sends: which dialect it speaks, where its requests end, and the answer to
 * what is none. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/gate.h"
#include "master/master.h"

#include <stdio.h>

/* Of one connection, in one round of the loop: then it is the others' turn. */
#define ROUND_REQUESTS 32
#define ROUND_BYTES 65536
#define FRAME_HEAD 4

static const char unknown_dialect[] =
    "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nContent-Length: 63\r\n"
    "Connection: close\r\n\r\nThis is shoal's control socket: it speaks JSON-RPC and "
    "HTTP/1.\n";
static const char http_no_answer[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n"
    "Content-Length: 29\r\nConnection: close\r\n\r\nThe gateway does not answer.\n";

static void
send_error(
    struct ctl_conn *conn, json_t *id, enum ctl_kind kind, json_t *data, const char *why)
{
	AUTO_FREE char *line = ctl_error_line(id, kind, data, why);

	if (line != NULL)
		ctl_conn_send(conn, line, strlen(line));
}

/* What is answered without a call. began_us: when it was looked at. */
static void
count_refused(const struct ctl_conn *conn, const struct ctl_method *m, int64_t began_us)
{
	selfcount_call(&conn->ctl->master->self,
	    m != NULL ? (unsigned)(m - ctl_methods) : CTL_METHODS, false,
	    ctl_now_us() - began_us);
}

static void
end_too_large(struct ctl_conn *conn)
{
	char why[64];

	count_refused(conn, NULL, ctl_now_us());
	snprintf(why, sizeof(why), "a request has at most %d bytes", CTL_LINE_MAX);
	send_error(
	    conn, NULL, CTL_E_TOO_LARGE, json_pack("{s:i}", "limit", CTL_LINE_MAX), why);
	ctl_conn_end(conn);
}

static void
take_line(struct ctl_conn *conn, const char *line, size_t n)
{
	int64_t began_us = ctl_now_us();
	struct ctl_request r;
	int rc = ctl_request_parse(&r, line, n, conn->peer.role);

	if (r.method != NULL && rc < 0 && r.kind == CTL_E_PERMISSION_DENIED)
		ctl_audit(conn->ctl, &conn->peer, r.method,
		    json_object_get(r.root, "params"), ctl_errors[r.kind].kind);
	if (r.notification && !r.broken) {
		/* Nobody would hear how it ended. */
		if (ctl_may_log(conn->ctl))
			log_warn("control", "a request without id is not carried out",
			    "method=%s uid=%u pid=%d", r.method ? r.method->name : "?",
			    (unsigned)conn->peer.uid, (int)conn->peer.pid);
		count_refused(conn, r.method, began_us);
	} else if (rc < 0) {
		count_refused(conn, r.method, began_us);
		send_error(conn, r.id, r.kind, r.data, r.why);
		r.data = NULL;
		if (r.broken)
			ctl_conn_end(conn);
	} else {
		ctl_call_run(conn, r.method, r.id, r.params, NULL, NULL);
	}
	ctl_request_finish(&r);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* 1: a line was taken, 0: it is not whole yet. */
static int
next_line(struct ctl_conn *conn)
{
	const char *at = conn->in + conn->in_used;
	const char *end =
	    memchr(conn->in + conn->in_seen, '\n', conn->in_n - conn->in_seen);
	size_t n = end ? (size_t)(end - at) : conn->in_n - conn->in_used;

	if (n > CTL_LINE_MAX) {
		end_too_large(conn);
		return 1;
	}
	if (end == NULL) {
		conn->in_seen = conn->in_n;
		return 0;
	}
	conn->in_used += n + 1;
	conn->in_seen = conn->in_used;
	conn->heard_ms = ctl_now_ms();
	while (n > 0 && is_blank(at[n - 1]))
		n--;
	while (n > 0 && is_blank(*at))
		at++, n--;
	if (n > 0)
		take_line(conn, at, n);
	return 1;
}

static int
next_frame(struct ctl_conn *conn)
{
	const unsigned char *at = (const unsigned char *)conn->in + conn->in_used;
	size_t have = conn->in_n - conn->in_used;
	size_t n;

	if (have < FRAME_HEAD)
		return 0;
	n = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	if (n > CTL_LINE_MAX) {
		ctl_conn_end(conn);
		return 1;
	}
	if (have < FRAME_HEAD + n)
		return 0;
	conn->in_used += FRAME_HEAD + n;
	conn->in_seen = conn->in_used;
	conn->heard_ms = ctl_now_ms();
	ctl_gunicorn_frame(conn, (const char *)at + FRAME_HEAD, n);
	return 1;
}

static void
refuse_dialect(struct ctl_conn *conn, const char *answer)
{
	conn->dialect = CTL_JSON;
	ctl_conn_send(conn, answer, strlen(answer));
	ctl_conn_end(conn);
}

/* HTTP is the gateway's business, which gets its own copy of the connection. */
static void
hand_over(struct ctl_conn *conn)
{
	struct err e;

	if (gate_serve(conn->ctl->master->gate, conn->fd, &conn->peer,
		conn->in + conn->in_used, conn->in_n - conn->in_used, &e) == 0) {
		conn->broken = true;
		return;
	}
	if (ctl_may_log(conn->ctl))
		log_warn("control", "HTTP client not served", "reason=\"%s\"", e.text);
	refuse_dialect(conn, http_no_answer);
}

/* Whether it begins as requests do: 1, 0 when more is needed to tell, or -1. */
static int
looks_like_http(const char *p, size_t n)
{
	static const char *const verbs[] = {
	    "GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS "};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		size_t whole = strlen(verbs[i]);

		if (memcmp(p, verbs[i], MIN(n, whole)) == 0)
			return n >= whole;
	}
	return -1;
}

/* false: more bytes are needed. */
static bool
choose_dialect(struct ctl_conn *conn)
{
	const char *at = conn->in + conn->in_used;
	int http;

	if (*at == '\0') {
		conn->dialect = CTL_GUNICORN;
		return true;
	}
	if (strchr("{ \t\r\n", *at) != NULL) {
		conn->dialect = CTL_JSON;
		return true;
	}
	http = looks_like_http(at, conn->in_n - conn->in_used);
	if (http == 0 && !conn->eof)
		return false;
	if (http > 0)
		hand_over(conn);
	else
		refuse_dialect(conn, unknown_dialect);
	return true;
}

bool
ctl_input_take(struct ctl_conn *conn)
{
	size_t begin = conn->in_used;

	for (int i = 0; conn->in_used < conn->in_n; i++) {
		/* gunicorn's client waits for each answer. */
		unsigned most = conn->dialect == CTL_GUNICORN ? 1 : CTL_IN_FLIGHT_MAX;

		if (conn->closing) {
			conn->in_n = conn->in_used = conn->in_seen = 0;
			return false;
		}
		if (conn->in_flight >= most || ctl_conn_pending(conn) >= CTL_OUT_HIGH) {
			conn->paused = true;
			return false;
		}
		if (i >= ROUND_REQUESTS || conn->in_used - begin >= ROUND_BYTES)
			return true;
		if (conn->dialect == CTL_UNKNOWN) {
			if (!choose_dialect(conn))
				break;
		} else if (!(conn->dialect == CTL_JSON ? next_line : next_frame)(conn)) {
			break;
		}
		if (conn->broken)
			return false;
	}
	/* Half a line that can never become whole. */
	if (conn->eof)
		conn->in_used = conn->in_n;
	return false;
}
