/* The shared segment of one worker: counters, heartbeat and the requests it has in flight.
 * The worker writes, everybody else reads; it outlives the worker, so the master can say
 * what a crashed one was doing. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"
#include "common/addr.h"
#include "common/err.h"
#include "common/hist.h"
#include "common/log.h"
#include "common/metric.h"
#include "common/net_counts.h"
#include "common/req_table.h"
#include "common/topk.h"

#include <stdatomic.h>

enum duration_id {
#define DURATION(name, ...) DURATION_##name,
#include "common/durations.def"
#undef DURATION
	DURATIONS
};

enum size_id {
#define SIZE(name, ...) SIZE_##name,
#include "common/sizes.def"
#undef SIZE
	SIZES
};

enum stat_id {
#define STAT(name, ...) STAT_##name,
#include "common/stats.def"
#undef STAT
	STAT_COUNT
};

#define SEG_MAGIC 0x314c4f48535f4753ull
#define SEG_INFLIGHT 512
#define SEG_CODE_FIRST 100
#define SEG_CODES 500 /* statuses 100-599 */
#define SEG_LISTENERS 64
#define SEG_ROUTES 64 /* with a name; what is beyond counts as all others */
#define SEG_ROUTES_OTHER SEG_ROUTES
/* Four buckets of common/hist.h in one, on the boundaries of native schema 2. */
#define SEG_ROUTE_BUCKETS (HIST_BUCKETS / 4 + 1)

/* state is the last thing written when an entry opens and the first when it closes. */
enum { INFLIGHT_FREE, INFLIGHT_QUEUED, INFLIGHT_APP, INFLIGHT_SENDING };

struct seg_inflight {
	_Atomic uint32_t state;      /* queued until an application thread takes it, sending
					once that has finished with it */
	_Atomic uint32_t app_thread; /* which one, from 0; once state is INFLIGHT_APP */
	uint32_t target_len;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t serial;     /* request number of the worker */
	char method[16];     /* cut, NUL-padded */
	struct addr peer;
	char target[168]; /* path without query, cut; hostile bytes: escape when printing */
	/* Told by the worker's tick, so that they cost a short request nothing. */
	_Atomic uint64_t told; /* serial of the request they are of */
	_Atomic uint64_t bytes_in, bytes_out;
	char account[ACCT_KEY_MAX]; /* as known by now, NUL-padded */
};

/* Who and what is asked for most: by the client's address, Host, User-Agent. */
enum top_by { TOP_CLIENT, TOP_HOST, TOP_AGENT, TOPS };

/* Longest keys, in bytes; what is longer is cut. */
#define TOP_CLIENT_MAX 16
#define TOP_HOST_MAX 96
#define TOP_AGENT_MAX TOPK_KEY_MAX

/* common/topk.h */
struct seg_tops {
	struct topk_entry entry[TOPS][TOPK_ENTRIES];
	_Atomic uint64_t client[TOPK_ENTRIES * TOP_CLIENT_MAX / 8];
	_Atomic uint64_t host[TOPK_ENTRIES * TOP_HOST_MAX / 8];
	_Atomic uint64_t agent[TOPK_ENTRIES * TOP_AGENT_MAX / 8];
};

/* common/hist.h */
struct seg_hist {
	_Atomic uint64_t bucket[HIST_BUCKETS];
	_Atomic uint64_t classes[HIST_CLASSES];
	_Atomic uint64_t sum_us;
};

struct seg_sizes {
	_Atomic uint64_t classes[HIST_SIZE_CLASSES];
	_Atomic uint64_t sum;
};

/* The certificate it was started with. */
struct seg_certificate {
	_Atomic int64_t not_after; /* Unix time, set last; 0: no TLS */
	char name[64];             /* cut, may be NUL-padded; hostile */
};

/* What the I/O thread has in hand, written a few times a second. */
struct seg_gauges {
	_Atomic uint64_t in_phase[NET_PHASE_COUNT];  /* requests */
	_Atomic uint64_t oldest_ns[NET_PHASE_COUNT]; /* CLOCK_MONOTONIC; 0: there is none */
	_Atomic uint64_t connections[SEG_LISTENERS][NET_STATE_COUNT];
};

/* Requests of one route; how many is the sum of the classes. */
struct seg_route {
	_Atomic uint32_t name_n; /* set last; 0: nobody's */
	char name[ACCT_KEY_MAX]; /* of acct_key_fold() */
	_Atomic uint64_t errors; /* of status 500-599 */
	_Atomic uint64_t sum_us;
	_Atomic uint64_t classes[HIST_CLASSES];
	_Atomic uint64_t bucket[SEG_ROUTE_BUCKETS];
};

struct seg {
	uint64_t magic;
	uint32_t size; /* of this struct: the two sides must agree */
	uint32_t slot, generation, epoch;
	_Atomic int32_t pid;
	_Atomic uint64_t
	    heartbeat_ns;        /* CLOCK_MONOTONIC, once a second from the I/O thread */
	_Atomic uint32_t traces; /* stack dumps completed (HERITAGE_TRACE_SIGNAL) */
	_Atomic uint64_t stats[STAT_COUNT];
	struct seg_hist durations[DURATIONS];
	struct seg_sizes sizes[SIZES];
	_Atomic uint64_t codes[SEG_CODES];   /* responses of status SEG_CODE_FIRST + i */
	_Atomic uint64_t logged[LOG_LEVELS]; /* lines of the error log, by any thread */
	_Atomic uint64_t accepted[SEG_LISTENERS]; /* by listener, in the heritage's order */
	_Atomic uint64_t net[NET_COUNTS];
	struct req_table requests;
	struct seg_gauges gauges;
	struct seg_certificate certificate;
	struct seg_inflight inflight[SEG_INFLIGHT];
	struct metric_table metrics;             /* the application's own */
	struct seg_route routes[SEG_ROUTES + 1]; /* the last: SEG_ROUTES_OTHER */
	struct seg_tops tops;
};

_Static_assert(SEG_LISTENERS == NET_LISTENERS && SEG_LISTENERS == REQ_TABLE_LISTENERS,
    "what is counted by listener is so for all of them");

/* The master's side: a new memfd of the right size (CLOEXEC), mapped. */
NODISCARD struct seg *seg_create(
    unsigned slot, unsigned generation, unsigned epoch, int *fd, struct err *e);
/* The worker's side: maps fd and checks magic and size. */
NODISCARD struct seg *seg_open(int fd, struct err *e);
void seg_close(struct seg *s);
/* Borrowed from the segment. */
struct topk_table seg_top(struct seg *s, enum top_by by);

/* Single writer: a plain add in memory others may read. */
static inline void
counter_add(_Atomic uint64_t *c, uint64_t n)
{
	uint64_t v = atomic_load_explicit(c, memory_order_relaxed);

	atomic_store_explicit(c, v + n, memory_order_relaxed);
}

/* Where a duration is counted; several of the same length share the search. */
struct seg_place {
	unsigned bucket, class;
};

static inline struct seg_place
seg_find_place(uint64_t ns)
{
	return (struct seg_place){hist_bucket(ns), hist_class(ns)};
}

static inline void
seg_count_at(struct seg *s, enum duration_id id, struct seg_place at, uint64_t ns)
{
	struct seg_hist *h = &s->durations[id];

	counter_add(&h->bucket[at.bucket], 1);
	counter_add(&h->classes[at.class], 1);
	counter_add(&h->sum_us, (ns + 500) / 1000);
}

static inline void
seg_count_duration(struct seg *s, enum duration_id id, uint64_t ns)
{
	struct seg_hist *h = &s->durations[id];

	if (ns >= 1000) {
		seg_count_at(s, id, seg_find_place(ns), ns);
		return;
	}
	/* Most of some kinds: nothing to search for. Rounded, not cut: a sum of short ones
	 * would be too short otherwise. */
	if (ns >= 500)
		counter_add(&h->sum_us, 1);
	counter_add(&h->bucket[0], 1);
	counter_add(&h->classes[0], 1);
}

static inline void
seg_count_size(struct seg *s, enum size_id id, uint64_t bytes)
{
	struct seg_sizes *h = &s->sizes[id];

	counter_add(&h->classes[hist_size_class(bytes)], 1);
	counter_add(&h->sum, bytes);
}

/* The four buckets of common/hist.h in one of a route, and the last of them. */
static inline unsigned
seg_route_bucket(uint64_t ns)
{
	return (hist_bucket(ns) + 1) / 4;
}

static inline unsigned
seg_route_bucket_last(unsigned bucket)
{
	return MIN(bucket * 4 + 2, (unsigned)HIST_BUCKETS - 1);
}

static inline void
stat_add(struct seg *s, enum stat_id id, uint64_t n)
{
	counter_add(&s->stats[id], n);
}

static inline void
stat_set(struct seg *s, enum stat_id id, uint64_t v)
{
	atomic_store_explicit(&s->stats[id], v, memory_order_relaxed);
}

/* code: 100-599. */
static inline void
seg_count_code(struct seg *s, unsigned code)
{
	counter_add(&s->codes[code - SEG_CODE_FIRST], 1);
}

/* place: of common/net_counts.h. */
static inline void
seg_count_net(struct seg *s, size_t place)
{
	counter_add(&s->net[place], 1);
}

static inline uint64_t
stat_get(const struct seg *s, enum stat_id id)
{
	return atomic_load_explicit(&s->stats[id], memory_order_relaxed);
}
