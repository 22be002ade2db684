/* The accounts of one worker life, in shared memory that outlives the worker and, as a file
 * in tmpfs, the master. One writer, the worker's I/O thread; readers never lock. A commit
 * that a SIGKILL cut in the middle is completed by acct_replay().
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <stdatomic.h>

enum acct_column {
#define ACCT(name, ...) ACCT_##name,
#include "common/acct.def"
#undef ACCT
	ACCT_COLUMNS
};

#define ACCT_MAGIC "SHOALAC1"
#define ACCT_COLUMNS_MAX 32 /* of any build: a reader takes what it knows by name */
#define ACCT_KEY_MAX 64     /* bytes; longer keys are shortened, see acct_key_fold() */
#define ACCT_SENDS_MAX                                                                     \
	262144 /* bytes of one send(): bounds what a SIGKILL leaves uncertain */

/* Rows that always exist. */
enum { ACCT_ROW_OVERFLOW, ACCT_ROW_NONE, ACCT_ROW_INTERNAL, ACCT_ROWS_RESERVED };
#define ACCT_NAME_OVERFLOW "~overflow"
#define ACCT_NAME_NONE "~none"
#define ACCT_NAME_INTERNAL "~internal"

enum acct_state {
	ACCT_LIVE = 1, /* a worker writes */
	ACCT_CLOSED,   /* the worker is gone, its last commit is whole: numbers are final */
};

struct acct_head {
	char magic[8];         /* written last */
	uint32_t layout, size; /* of this struct; rows follow it at `size` */
	uint8_t uuid[16], boot_id[16];
	uint32_t slot, epoch, generation;
	_Atomic int32_t pid;
	_Atomic uint64_t
	    pid_start; /* field 22 of /proc/PID/stat: tells a number used again */
	uint64_t created_unix_ns;
	_Atomic uint32_t state; /* enum acct_state */
	uint32_t columns, rows, row_size;
	_Atomic uint32_t used; /* rows given out so far; only grows */
	uint64_t hash_key[2];  /* of SipHash, random */
	struct {
		char name[24]; /* NUL-terminated */
	} column[ACCT_COLUMNS_MAX];
	/* The commit under way: absolute values, so that doing it again changes nothing. */
	struct {
		_Atomic uint64_t state, row;
		_Atomic uint64_t value[ACCT_COLUMNS];
	} redo;
	/* A send() under way: at most so many bytes of this row are not counted yet. */
	struct {
		_Atomic uint64_t row, bytes;
	} intent;
};

/* 256 bytes, four cache lines. */
struct acct_row {
	_Atomic uint64_t seq; /* odd while it is written */
	uint64_t hash;
	uint32_t epoch; /* counts the accounts this row was given to */
	uint32_t key_len;
	char key[72]; /* hostile bytes; valid UTF-8, at most ACCT_KEY_MAX */
	_Atomic uint64_t value[ACCT_COLUMNS];
	_Atomic uint64_t last_ns; /* CLOCK_BOOTTIME of the last commit */
	uint64_t spare[3];
};
_Static_assert(sizeof(struct acct_row) == 256, "four cache lines");

struct acct {
	struct acct_head *head;
	struct acct_row *row;
	size_t size; /* bytes mapped */
	bool writable;
};

/* What a reader gets of one row: consistent, from one commit. */
struct acct_view {
	char key[ACCT_KEY_MAX + 1]; /* NUL-terminated */
	uint32_t epoch;
	uint64_t value[ACCT_COLUMNS];
};

/* The master's side: "seg-SLOT-EPOCH-UUID" in dir_fd, its blocks allocated (a sparse file
 * on a full tmpfs would be a SIGBUS in the worker), or a memfd when dir_fd is -1. *fd is
 * the caller's, CLOEXEC. */
NODISCARD int acct_create(struct acct *a, int dir_fd, unsigned rows, const unsigned id[3],
    int *fd, struct err *e);
/* Maps fd after checking everything it says about itself. */
NODISCARD int acct_open(struct acct *a, int fd, bool writable, struct err *e);
void acct_close(struct acct *a);

/* ---- The writer ---- */

/* Says that this process writes: pid and pid_start. */
void acct_begin(struct acct *a);
/* The row of this key, a new one if need be; ACCT_ROW_OVERFLOW when there is none left. The
 * key is what acct_key_fold() gave. */
uint32_t acct_row_find(struct acct *a, const char *key, size_t n);
/* Whether the row (from an earlier acct_row_find) still belongs to this key. */
bool acct_row_is(const struct acct *a, uint32_t row, const char *key, size_t n);
/* Adds all of add[] to the row, as one. */
void acct_commit(struct acct *a, uint32_t row, const uint64_t add[ACCT_COLUMNS]);
/* Around a send() of at most n bytes; 0 when it is counted. */
void acct_intend(struct acct *a, uint32_t row, uint64_t n);

/* Any bytes as a key: valid UTF-8 of at most ACCT_KEY_MAX bytes; what is longer becomes 47
 * bytes (whole characters), `~` and 16 hex digits of its hash; what begins with `~` or is
 * no UTF-8 is escaped. Returns its length. */
size_t acct_key_fold(const char *from, size_t n, char to[ACCT_KEY_MAX]);

/* ---- Readers ---- */

/* After the writer's death, by the one that reaped it or made sure of it: completes a cut
 * commit, turns a send under way into `uncertain`, sets the state. Repeatable. */
void acct_replay(struct acct *a);
/* false: row is out of range, unused, or was written all the time. */
bool acct_read(const struct acct *a, uint32_t row, struct acct_view *view);
