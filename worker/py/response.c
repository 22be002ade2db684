/* The answer: head, framing, and the bytes on their way out. SPDX-License-Identifier: MIT
 */
#include "worker/py/response.h"

#include "worker/py/bill.h"
#include "worker/py/errors.h"
#include "worker/py/face.h"
#include "worker/py/lend.h"
#include "worker/py/route.h"
#include "worker/py/start_response.h"

#include <stdio.h>

#define SERVER_NAME "shoal"

static struct str
server_header(const struct call *c)
{
	return c->thread->st->conf->server_header ? STR(SERVER_NAME)
						  : (struct str){NULL, 0};
}

static struct str
date_header(struct call *c)
{
	struct app_thread *t = c->thread;

	if (t->date_unix != c->req->start_unix) {
		http_date(t->date, c->req->start_unix);
		t->date_unix = c->req->start_unix;
	}
	return (struct str){t->date, sizeof(t->date)};
}

void
response_reset_head(struct call *c)
{
	if (c->head.on_heap)
		free(c->head.p);
	c->head = (struct resp_buf){.p = c->head_mem, .cap = sizeof(c->head_mem)};
	c->resp = (struct resp){
	    .out = &c->head,
	    .head_request = c->head_request,
	    .http11 = c->req->head.http11,
	    .keep_alive = c->req->head.keep_alive,
	    .capitalize = c->thread->capitalize,
	};
}

void
response_clear(struct call *c)
{
	if (c->head.on_heap)
		free(c->head.p);
	if (c->held.on_heap)
		free(c->held.p);
	c->head = c->held = (struct resp_buf){0};
}

/* No 100 Continue can be sent after the head: a client that waits for it, and whose body
 * was not asked for, will not send the body, or will and nobody reads it (RFC 9110 10.1.1).
 */
static bool
body_stays_out(const struct call *c)
{
	const struct head *h = &c->req->head;

	return UNLIKELY(h->expect_continue) && (h->chunked || h->length > 0) &&
	       !c->input_used && req_body_ready(c->req) == 0;
}

int
response_send_head(struct call *c, bool sized, uint64_t size)
{
	struct req *r = c->req;
	enum resp_error why;

	if (UNLIKELY(!c->begun)) {
		PyErr_SetString(PyExc_AssertionError,
		    "the application sent a body without calling start_response");
		return -1;
	}
	c->resp.keep_alive = c->resp.keep_alive && req_may_persist(r) && !body_stays_out(c);
	why = resp_finish(&c->resp, date_header(c), server_header(c), sized, size);
	if (UNLIKELY(why != RESP_OK)) {
		PyErr_Format(PyExc_ValueError, "response head: %s", resp_error_text(why));
		return -1;
	}
	bill_fix(c);
	route_fix(c);
	/* Whoever sees it sees who is billed. */
	atomic_store_explicit(&r->answering, true, memory_order_release);
	if (UNLIKELY(req_out_copy(r, OUT_HEAD, c->head.p, c->head.n) < 0)) {
		PyErr_NoMemory();
		return -1;
	}
	c->head_out = true;
	r->status = c->resp.code;
	c->body_left = c->resp.length;
	if (!c->resp.keep_alive)
		c->finish_flags |= REQ_CLOSE;
	return 0;
}

/* Body bytes that stay where they are while the I/O thread sends them. */
static int
borrow(struct call *c, PyObject *owner, const char *p, size_t n)
{
	struct lend *l = lend_bytes(owner);

	if (l == NULL)
		return -1;
	if (req_out_borrow(c->req, OUT_BODY, p, n, l) == 0)
		return 0;
	lend_cancel(l);
	return -1;
}

/* p[0..n) as body, with chunk framing where the answer has it. owner: bytes object that
 * holds p, NULL: it must be copied. -1 without memory. */
static int
put_body(struct call *c, PyObject *owner, const char *p, size_t n)
{
	struct req *r = c->req;
	bool chunked = c->resp.framing == RESP_CHUNKED;
	char *room;

	if (chunked) {
		room = req_out_room(r, 20);
		if (room == NULL)
			return -1;
		req_out_add(r, OUT_FRAMING, chunk_header(room, n));
	}
	if (owner != NULL && n >= OUT_BORROW_MIN) {
		if (borrow(c, owner, p, n) < 0)
			return -1;
	} else if (req_out_copy(r, OUT_BODY, p, n) < 0) {
		return -1;
	}
	return chunked ? req_out_copy(r, OUT_FRAMING, "\r\n", 2) : 0;
}

/* How much of n more body bytes the announced length allows. */
static size_t
allowed(struct call *c, size_t n)
{
	if (c->resp.framing == RESP_NO_BODY)
		return 0;
	if (c->resp.framing != RESP_LENGTH)
		return n;
	if (n > c->body_left) {
		if (!c->cut_logged)
			errors_log_mistake("body longer than its Content-Length, cut",
			    c->req,
			    "the application sent more bytes than its Content-Length says");
		c->cut_logged = true;
		n = (size_t)c->body_left;
	}
	c->body_left -= n;
	return n;
}

static int
send_bytes(struct call *c, PyObject *owner, const char *p, size_t n)
{
	if (!c->head_out && response_send_head(c, false, 0) < 0)
		return -1;
	n = allowed(c, n);
	if (n == 0 || put_body(c, owner, p, n) == 0)
		return 0;
	PyErr_NoMemory();
	return -1;
}

/* --min-chunk: small pieces wait for company. -1: exception. */
static int
hold_back(struct call *c, const char *p, size_t n)
{
	if (c->held.cap - c->held.n < n) {
		size_t cap = MAX(c->min_chunk, c->held.n + n);
		char *grown = realloc(c->held.p, cap);

		if (grown == NULL) {
			PyErr_NoMemory();
			return -1;
		}
		c->held = (struct resp_buf){
		    .p = grown, .n = c->held.n, .cap = cap, .on_heap = true};
	}
	memcpy(c->held.p + c->held.n, p, n);
	c->held.n += n;
	return 0;
}

static int
send_held(struct call *c)
{
	size_t n = c->held.n;

	c->held.n = 0;
	return n == 0 ? 0 : send_bytes(c, NULL, c->held.p, n);
}

/* New reference to the bytes of an item; TypeError for anything else. */
static PyObject *
item_bytes(struct call *c, PyObject *item)
{
	if (LIKELY(PyBytes_Check(item))) {
		Py_INCREF(item);
		return item;
	}
	if (c->thread->st->eventlet && PyUnicode_Check(item))
		return PyUnicode_AsASCIIString(item);
	PyErr_Format(PyExc_TypeError, "the response body must be bytes, not %.100s",
	    Py_TYPE(item)->tp_name);
	return NULL;
}

int
response_send(struct call *c, PyObject *item)
{
	PyObject *bytes = item_bytes(c, item);
	const char *p;
	size_t n;
	int rc = 0;

	if (bytes == NULL)
		return -1;
	p = PyBytes_AS_STRING(bytes);
	n = (size_t)PyBytes_GET_SIZE(bytes);
	if (n > 0 && c->min_chunk > 0 && c->held.n + n < c->min_chunk)
		rc = hold_back(c, p, n);
	else if (n > 0 && (rc = send_held(c)) == 0)
		rc = send_bytes(c, bytes, p, n);
	Py_DECREF(bytes);
	return rc;
}

/* As put_body, with a file. The descriptor is l's. */
static int
put_file(struct call *c, struct lend *l, int fd, int64_t off, uint64_t n)
{
	struct req *r = c->req;
	char *room;

	if (c->resp.framing != RESP_CHUNKED) {
		if (req_out_file(r, fd, off, n, l) == 0)
			return 0;
		lend_cancel(l);
		return -1;
	}
	room = req_out_room(r, 20);
	if (room != NULL)
		req_out_add(r, OUT_FRAMING, chunk_header(room, n));
	if (room == NULL || req_out_file(r, fd, off, n, l) < 0) {
		lend_cancel(l);
		return -1;
	}
	return req_out_copy(r, OUT_FRAMING, "\r\n", 2);
}

int
response_send_file(struct call *c, int fd, int64_t off, uint64_t size)
{
	struct lend *l = lend_fd(fd);

	if (l == NULL) {
		close(fd);
		PyErr_NoMemory();
		return -1;
	}
	if (!c->head_out && response_send_head(c, true, size) < 0) {
		lend_cancel(l);
		return -1;
	}
	/* A file longer than Content-Length is how an application answers a range. */
	if (c->resp.framing == RESP_LENGTH)
		size = MIN(size, c->body_left);
	if (size == 0 || c->resp.framing == RESP_NO_BODY) {
		lend_cancel(l);
		return 0;
	}
	if (c->resp.framing == RESP_LENGTH)
		c->body_left -= size;
	if (put_file(c, l, fd, off, size) == 0)
		return 0;
	PyErr_NoMemory();
	return -1;
}

int
response_write(struct call *c, struct face *face, PyObject *data)
{
	if (response_send(c, data) < 0)
		return -1;
	req_out_publish(c->req);
	while (req_out_full(c->req) && !atomic_load(&c->req->aborted))
		if (call_wait(face, CALL_ROOM) < 0)
			return -1;
	if (!atomic_load(&c->req->aborted))
		return 0;
	c->input_broken = true;
	PyErr_SetString(PyExc_BrokenPipeError, "the client is gone");
	return -1;
}

int
response_interim(struct call *c, int code, PyObject *headers)
{
	struct resp_buf buf = {0};
	struct resp resp = {.out = &buf, .http11 = true};
	char status[64], mem[1024];
	int rc = -1;

	if (c->head_out || !c->req->head.http11)
		return 0;
	buf.p = mem;
	buf.cap = sizeof(mem);
	snprintf(status, sizeof(status), "%d %s", code, status_reason(code));
	if (resp_begin(&resp, str_of(status)) != RESP_OK) {
		PyErr_NoMemory();
	} else if (headers == NULL || headers == Py_None ||
		   start_response_add_interim_fields(&resp, headers) == 0) {
		rc = req_out_copy(c->req, OUT_HEAD, buf.p, buf.n);
		if (rc == 0)
			rc = req_out_copy(c->req, OUT_HEAD, "\r\n", 2);
		if (rc < 0)
			PyErr_NoMemory();
		else
			req_out_publish(c->req);
	}
	if (buf.on_heap)
		free(buf.p);
	return rc;
}

int
response_finish(struct call *c)
{
	if (!c->head_out && c->held.n > 0 && response_send_head(c, true, c->held.n) < 0)
		return -1;
	if (send_held(c) < 0)
		return -1;
	if (!c->head_out && response_send_head(c, true, 0) < 0)
		return -1;
	if (c->iter != NULL || c->faces[FACE_WRITE] != NULL)
		bill_check(c);
	if (c->resp.framing == RESP_CHUNKED) {
		if (req_out_copy(c->req, OUT_FRAMING, "0\r\n\r\n", 5) < 0) {
			PyErr_NoMemory();
			return -1;
		}
	} else if (c->resp.framing == RESP_LENGTH && c->body_left > 0) {
		c->finish_flags |= REQ_ABORT;
		if (!atomic_load(&c->req->aborted))
			errors_log_mistake("body shorter than its Content-Length", c->req,
			    "the application sent fewer bytes than its Content-Length "
			    "says; "
			    "the connection is cut");
	}
	return 0;
}

/* --debug: the traceback instead of the fixed words. */
static int
send_debug_page(struct call *c, PyObject *traceback)
{
	PyObject *bytes = PyUnicode_AsUTF8String(traceback);
	int rc = -1;

	if (bytes == NULL)
		return -1;
	response_reset_head(c);
	c->begun = true;
	if (resp_begin(&c->resp, STR("500 Internal Server Error")) == RESP_OK &&
	    resp_field(&c->resp, STR("Content-Type"), STR("text/plain; charset=utf-8")) ==
		RESP_OK &&
	    resp_field(&c->resp, STR("Connection"), STR("close")) == RESP_OK &&
	    response_send_head(c, true, (uint64_t)PyBytes_GET_SIZE(bytes)) == 0)
		rc = send_bytes(
		    c, bytes, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
	Py_DECREF(bytes);
	return rc;
}

void
response_fail(struct call *c, PyObject *traceback)
{
	size_t cap = 1024, n, head_n = 0;
	char *room;

	if (c->head_out) {
		c->finish_flags |= REQ_ABORT;
		return;
	}
	c->finish_flags |= REQ_CLOSE;
	c->req->status = 500;
	c->held.n = 0;
	if (traceback != NULL && c->thread->st->conf->debug &&
	    send_debug_page(c, traceback) == 0)
		return;
	PyErr_Clear();
	room = req_out_room(c->req, cap);
	n = room == NULL ? 0
			 : resp_canned(room, cap, 500, date_header(c), server_header(c),
			       c->head_request, &head_n);
	c->head_out = true;
	bill_fix(c);
	route_fix(c);
	atomic_store_explicit(&c->req->answering, true, memory_order_release);
	if (n == 0) {
		c->finish_flags |= REQ_ABORT;
		return;
	}
	req_out_add(c->req, OUT_HEAD, head_n);
	req_out_add(c->req, OUT_BODY, n - head_n);
}
