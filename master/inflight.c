/* Copies, checks and describes entries of a segment. SPDX-License-Identifier: MIT */
#include "master/inflight.h"

#include "master/text.h"

#include <stdio.h>
#include <time.h>

/* In the log; in the control protocol. */
static const struct {
	const char *stage, *phase;
} words[] = {
    [INFLIGHT_QUEUED] = {"queued", "queue"},
    [INFLIGHT_APP] = {"application", "app"},
    [INFLIGHT_SENDING] = {"sending", "write"},
};

uint64_t
inflight_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

bool
inflight_read(const struct seg *s, size_t entry, uint64_t now_ns, struct inflight *out)
{
	const struct seg_inflight *f = &s->inflight[entry];
	const char *query;
	uint64_t told;

	out->state = atomic_load_explicit(&f->state, memory_order_acquire);
	if (out->state == INFLIGHT_FREE || out->state >= ARRAY_LEN(words))
		return false;
	told = atomic_load_explicit(&f->told, memory_order_acquire);
	memcpy(&out->bytes, f, sizeof(out->bytes));
	atomic_thread_fence(memory_order_acquire);
	/* The entry may have been given to the next request meanwhile. */
	if (atomic_load_explicit(&f->state, memory_order_relaxed) == INFLIGHT_FREE ||
	    ((const volatile struct seg_inflight *)f)->serial != out->bytes.serial)
		return false;
	out->serial = out->bytes.serial;
	out->told = told == out->serial &&
		    atomic_load_explicit(&f->told, memory_order_relaxed) == told;
	out->age_us = out->bytes.started_ns < now_ns
			  ? (int64_t)((now_ns - out->bytes.started_ns) / 1000)
			  : 0;
	out->peer = out->bytes.peer;
	out->method = text_cut(out->bytes.method, sizeof(out->bytes.method));
	out->path = text_cut(out->bytes.target,
	    MIN((size_t)out->bytes.target_len, sizeof(out->bytes.target)));
	/* A path has none; this is for a worker that put one there all the same. */
	query = memchr(out->path.p, '?', out->path.n);
	if (query != NULL)
		out->path.n = (size_t)(query - out->path.p);
	return true;
}

const char *
inflight_stage(const struct inflight *f)
{
	return words[f->state].stage;
}

static json_t *
account_to_json(const struct inflight *f)
{
	struct str name = text_cut(f->bytes.account, sizeof(f->bytes.account));

	return f->told && name.n > 0 ? text_to_json(name) : json_null();
}

static json_t *
bytes_to_json(const struct inflight *f, uint64_t n)
{
	return f->told && n <= INT64_MAX ? json_integer((json_int_t)n) : json_null();
}

json_t *
inflight_to_json(const struct inflight *f, unsigned slot, unsigned epoch)
{
	char id[64], client[ADDR_TEXT_MAX];
	struct addr peer = f->peer;

	snprintf(id, sizeof(id), "w%ue%u-%llu", slot, epoch, (unsigned long long)f->serial);
	addr_host(&peer, client);
	return json_pack("{s:s, s:i, s:f, s:s, s:o, s:o, s:s, s:o, s:o, s:o}", "id", id,
	    "worker", (int)slot, "age_s", (double)f->age_us / 1e6, "phase",
	    words[f->state].phase, "method", text_to_json(f->method), "path",
	    text_to_json(f->path), "client", client, "account", account_to_json(f),
	    "bytes_in", bytes_to_json(f, f->bytes.bytes_in), "bytes_out",
	    bytes_to_json(f, f->bytes.bytes_out));
}
