/* The segments in shared memory: which there are, and what they have counted since they
 * were last looked at. What it finds waits as records until a store has them.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/ledger/store.h"

#define SEGMENTS_MAX 8192
#define SEGMENT_NAME_MAX 96
/* Beyond so many records the next ones join the last one of their row, whatever their
 * bucket: a long outage costs resolution in time, not memory without end. */
#define SEGMENTS_PENDING_MAX 200000

struct segment_row {
	uint32_t epoch;
	bool known; /* epoch and seen mean something */
	bool dirty; /* seen is ahead of the store's watermark */
	uint64_t
	    lied_ns;   /* CLOCK_BOOTTIME of when it was last said that it makes no sense */
	uint32_t last; /* 1 + index of its newest pending record; 0: none */
	uint64_t seq;  /* of the row when it was read last */
	uint64_t seen[ACCT_COLUMNS];
};

struct segment {
	char name[SEGMENT_NAME_MAX]; /* of its file */
	uint8_t id[SEGMENT_ID_LEN];
	int fd; /* owned; -1: it is a file of the directory, not in memory alone */
	struct acct acct;
	struct segment_row *rows; /* owned */
	uint64_t looked_ns;       /* CLOCK_BOOTTIME of the last look; 0: none yet */
	bool noted;               /* the store knows it */
	bool closed;              /* its last look was behind its end */
	bool closed_before;       /* the last look found its writer gone */
	bool flagged;             /* it made no sense somewhere */
	bool present;             /* it is in memory alone, or was found in the directory */
};

/* One that the master has handed over and that no store was there for yet. */
struct segment_handed {
	char name[SEGMENT_NAME_MAX];
	int fd; /* owned */
};

/* What the books hear about; all may be NULL. */
struct segments_ops {
	/* A record grew by so much. */
	void (*on_delta)(void *ctx, const char *account, int64_t bucket,
	    const int64_t delta[ACCT_COLUMNS]);
	/* Counters went backwards, or faster than any network. */
	void (*on_nonsense)(void *ctx, const struct segment *s, uint32_t row,
	    const char *account, const char *why);
	/* All of it is in the store: who holds its memory may let go of it. */
	void (*on_finished)(void *ctx, const struct segment *s);
	void *ctx;
};

struct segments {
	int dir_fd; /* owned; -1: there is none, all segments are handed over */
	char dir[4096];
	struct segments_ops ops;
	struct segment **v; /* owned */
	size_t n;
	struct segment_handed *handed; /* owned */
	size_t n_handed;
	size_t awaited;         /* the master has so many more, which the store may know */
	bool news;              /* there is something to be written */
	bool swept;             /* what ended while no ledger ran was looked for */
	struct record *pending; /* owned */
	size_t n_pending, cap_pending;
	char boot[40];      /* which boot of the machine this is */
	uint64_t uncertain; /* sums over what was found by this process */
	uint64_t overflow_bytes;
};

/* dir "": none. */
NODISCARD int segments_open(struct segments *sg, const char *dir, struct err *e);
void segments_close(struct segments *sg);
/* One that is in no directory; name is what its file would have. fd is taken. */
NODISCARD int segments_hand(struct segments *sg, const char *name, int fd, struct err *e);
/* How many there are of those. */
size_t segments_in_memory(const struct segments *sg);
/* Finds new ones, and takes their watermark from the store; that which the segment carries
 * itself where the store does not know the segment: it began anew. */
NODISCARD int segments_scan(struct segments *sg, struct store *s, struct err *e);
/* Looks at all of them. Nothing is lost when it fails for want of memory. */
NODISCARD int segments_collect(
    struct segments *sg, uint64_t lot, int64_t bucket, bool late, struct err *e);
/* Everything pending, and the watermarks, into the store's open transaction. */
NODISCARD int segments_put(struct segments *sg, struct store *s, struct err *e);
/* Behind the commit of segments_put(). */
void segments_settle(struct segments *sg);
/* Removes the files of those whose end is in the store, and lets the store forget those
 * without a file. In a transaction of its own; each step can be repeated. */
NODISCARD int segments_retire(struct segments *sg, struct store *s, struct err *e);
/* The store begins anew: it has to be told every watermark. */
void segments_mark_all(struct segments *sg);
/* Rows in use, for the status. */
size_t segments_count_rows(const struct segments *sg);
