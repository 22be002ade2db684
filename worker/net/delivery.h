/* What the peer acknowledged of each answer: answers the kernel took wait in their order,
 * until it is known. SPDX-License-Identifier: MIT */
#pragma once

#include "worker/net/timer.h"

struct conn;
struct req;

#define DELIVERY_SPANS 64 /* answers of one connection; then the oldest is given up */

/* One answer, or what is left of it when the request is gone. */
struct sent_span {
	uint64_t end;  /* in the connection's wire bytes */
	uint64_t len;  /* wire bytes of the answer, or of several of one account */
	uint64_t tls;  /* of these, what came beyond the plain text */
	struct req *r; /* borrowed; NULL: the request is gone */
	char *line;    /* owned: its access-log record, waiting for the number */
	size_t line_n;
	uint64_t start_ns; /* of its request */
	uint32_t row;      /* held: the account's, told what was not delivered */
	bool billed;
};

struct delivery {
	uint64_t acked;          /* wire bytes that are known to be acknowledged */
	struct sent_span *spans; /* owned, oldest first */
	uint8_t n, cap;
	uint8_t waits;       /* spans somebody wants to know about */
	bool failed;         /* a read or write said that the connection is dead */
	uint64_t acked_then; /* when the lingering was begun or prolonged */
	struct timer timer;  /* TIMER_ACK_ */
};

/* r's answer is with the kernel as a whole, r is still the connection's. Nothing happens
 * when nobody can want to know. */
void delivery_push(struct conn *c, struct req *r);
/* The application side waits for r's number: end() is called when it is known. */
void delivery_await(struct req *r);
/* The access-log record of r is written when its number is known. False: it is known, or
 * there is no memory and what is known must do. */
bool delivery_keep_line(struct req *r, const char *line, size_t n);
/* r goes away. */
void delivery_forget(struct req *r);

/* Asks the kernel, if somebody waits. At events that come anyway. */
void delivery_look(struct conn *c);
/* Asks the kernel: whether any answer is not acknowledged as a whole. */
bool delivery_is_open(struct conn *c);
/* While the connection blocks. Only where the number cannot be had afterwards. */
void delivery_note(struct conn *c);
/* A TIMER_ACK_ kind expired. */
void delivery_timeout(struct conn *c, enum timer_kind kind);
/* Since this was asked last the peer has acknowledged something. */
bool delivery_goes_on(struct conn *c);
/* The connection is about to be closed: all numbers, also of the request under way, become
 * final with what is known now. */
void delivery_end(struct conn *c);
