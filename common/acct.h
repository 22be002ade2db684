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
#define ACCT_LAYOUT 1
#define ACCT_COLUMNS_MAX 19 /* values of a row, of any build */
#define ACCT_KEY_MAX 64     /* bytes; longer keys are shortened, see acct_key_fold() */
#define ACCT_ROWS_MIN 16
#define ACCT_ROWS_MAX 1048576
/* Bytes of one send(): bounds what a SIGKILL leaves uncertain. */
#define ACCT_SENDS_MAX 262144
/* A row is only given to another account when it was still for so long. */
#define ACCT_IDLE_NS (600 * 1000000000ull)

/* Rows that always exist. */
enum { ACCT_ROW_OVERFLOW, ACCT_ROW_NONE, ACCT_ROW_INTERNAL, ACCT_ROWS_RESERVED };
#define ACCT_NAME_OVERFLOW "~overflow"
#define ACCT_NAME_NONE "~none"
#define ACCT_NAME_INTERNAL "~internal"

enum acct_state {
	ACCT_LIVE = 1, /* a worker writes */
	ACCT_CLOSED,   /* the worker is gone, its last commit is whole: numbers are final */
};

/* At the start of the file; the rows follow at `rows_at`, what the ledger has applied of
 * them at `applied_at`. The master writes it before anybody else sees it, the worker what
 * is atomic; the state is the master's. */
struct acct_head {
	char magic[8];
	uint32_t layout, size; /* of this struct */
	uint8_t uuid[16], boot_id[16];
	uint32_t slot, epoch, generation;
	_Atomic int32_t pid;
	_Atomic uint64_t
	    pid_start; /* field 22 of /proc/PID/stat: tells a number used again */
	uint64_t created_unix_ns;
	_Atomic uint32_t state; /* enum acct_state */
	_Atomic uint32_t used;  /* rows given out so far; only grows */
	uint32_t columns, rows, row_size, applied_size;
	uint64_t rows_at, applied_at;
	uint64_t hash_key[2]; /* of SipHash, random */
	struct {
		char name[24]; /* NUL-terminated */
	} column[ACCT_COLUMNS_MAX];
	/* The write under way: absolute values, so that doing it again changes nothing. */
	struct {
		_Atomic uint64_t state, row;
		_Atomic uint64_t value[ACCT_COLUMNS_MAX];
	} redo;
	/* A send() under way: at most so many bytes of this row are not counted yet. */
	struct {
		_Atomic uint64_t row, bytes;
	} intent;
	_Atomic uint64_t overflowed; /* keys that found no row of their own */
	_Atomic uint64_t recycled;   /* rows taken from one account for another */
};

/* 256 bytes, four cache lines. */
struct acct_row {
	_Atomic uint64_t seq;            /* odd while it is written; only grows */
	_Atomic uint32_t epoch, key_len; /* accounts it was given to; 0: nobody's */
	_Atomic uint64_t key[8];  /* bytes, valid UTF-8, hostile; see acct_key_fold() */
	_Atomic uint64_t last_ns; /* CLOCK_BOOTTIME of about the last commit */
	_Atomic uint64_t value[ACCT_COLUMNS_MAX];
	uint64_t spare[2];
};
_Static_assert(sizeof(struct acct_row) == 256, "four cache lines");
_Static_assert(ACCT_COLUMNS <= ACCT_COLUMNS_MAX, "a row has no more room");

/* What of a row is durable, by the only one that writes here: the ledger, after its
 * transaction; without a ledger the master, for its own sums. The worker maps this part
 * read-only and takes a row for another account only when `seq` is the row's. */
struct acct_applied {
	_Atomic uint64_t seq; /* of the row when it was read; odd while this is written */
	_Atomic uint64_t epoch;
	_Atomic uint64_t value[ACCT_COLUMNS_MAX];
	uint64_t spare[3];
};
_Static_assert(sizeof(struct acct_applied) == 192, "three cache lines");

/* What the mapping is for. */
enum acct_mode {
	ACCT_READ,  /* looks, writes nowhere */
	ACCT_WRITE, /* the worker, and the master that replays it */
	ACCT_APPLY, /* the ledger: reads rows, writes what it applied */
};

struct acct_index;

struct acct {
	struct acct_head *head;
	struct acct_row *row;
	struct acct_applied *applied;
	size_t size;                /* bytes mapped */
	uint32_t rows, columns;     /* checked; what the head says may change behind us */
	int8_t place[ACCT_COLUMNS]; /* of each of our columns among the table's; -1: none */
	enum acct_mode mode;
	uint64_t now_ns; /* the writer's: CLOCK_BOOTTIME, set as often as it likes */
	struct acct_index *index; /* owned; the writer's, from acct_begin() on */
};

/* What a reader gets of one row: consistent, from one commit. */
struct acct_view {
	char key[ACCT_KEY_MAX + 1]; /* NUL-terminated */
	uint32_t epoch;
	uint64_t seq;
	uint64_t value[ACCT_COLUMNS]; /* what the table does not have is 0 */
};

/* The master's side: "seg-SLOT-EPOCH-UUID" in dir_fd, its blocks allocated (a sparse file
 * on a full tmpfs would be a SIGBUS in the worker) or those of a file that was reserved
 * (acct_spare.h), or a memfd when dir_fd is -1; id: slot, epoch, generation. *fd is the
 * caller's, CLOEXEC. */
NODISCARD int acct_create(struct acct *a, int dir_fd, unsigned rows, const unsigned id[3],
    int *fd, struct err *e);
#define ACCT_FILE_MAX 64
/* Bytes of a table of so many rows. */
size_t acct_size(unsigned rows);
/* Gives all of a file's pages to it, or fails: none of them can be missing later. */
NODISCARD int acct_allocate(int fd, size_t size, struct err *e);
/* The name of its file. */
void acct_file_name(const struct acct_head *h, char name[ACCT_FILE_MAX]);
/* Maps fd after checking everything it says about itself. */
NODISCARD int acct_open(struct acct *a, int fd, enum acct_mode mode, struct err *e);
/* An acct that is all zeros is closed already. */
void acct_close(struct acct *a);

/* ---- The writer ---- */

/* Says that this process writes: pid and pid_start. */
NODISCARD int acct_begin(struct acct *a, struct err *e);
/* The row of this key, a new one if need be; ACCT_ROW_OVERFLOW when there is none left,
 * ACCT_ROW_NONE for an empty key. The key is what acct_key_fold() gave. */
uint32_t acct_row_find(struct acct *a, const char *key, size_t n);
/* The same for an account that must not get lost among others, as it has a quota: an eighth
 * of the rows is kept for these. */
uint32_t acct_row_find_kept(struct acct *a, const char *key, size_t n);
/* Whether the row (from an earlier acct_row_find) still belongs to this key. */
bool acct_row_is(const struct acct *a, uint32_t row, const char *key, size_t n);
/* While it is held, a row is not given to another account. Counted. */
void acct_row_hold(struct acct *a, uint32_t row);
void acct_row_release(struct acct *a, uint32_t row);
/* Adds all of add[] to the row, as one. */
void acct_commit(struct acct *a, uint32_t row, const uint64_t add[ACCT_COLUMNS]);
/* Around a send() of at most n bytes; 0 when it is counted. */
void acct_intend(struct acct *a, uint32_t row, uint64_t n);

/* Any bytes as a key: valid UTF-8 of at most ACCT_KEY_MAX bytes without control characters.
 * Those, `%`, what is no UTF-8, and `~` where it could pass for a name of ours become %XX;
 * what is longer then becomes at most 47 bytes, `~` and 16 hex digits of its hash.
 * Different bytes give different keys. Returns its length; 0 only for nothing. */
size_t acct_key_fold(const char *from, size_t n, char to[ACCT_KEY_MAX]);

/* ---- Readers ---- */

/* After the writer's death, by the one that reaped it or made sure of it: completes a cut
 * commit, turns a send under way into `uncertain`, sets the state. Repeatable. */
void acct_replay(struct acct *a);
/* A pidfd of the process that writes; -1: it is no more, or never was. */
NODISCARD int acct_writer_open(const struct acct *a);
/* Rows given out so far, at most a->rows. */
uint32_t acct_used(const struct acct *a);
/* false: row is out of range, nobody's, or was written all the time. */
bool acct_read(const struct acct *a, uint32_t row, struct acct_view *view);
/* The number that changes with every commit to the row: a cheap look before acct_read(). */
uint64_t acct_row_seq(const struct acct *a, uint32_t row);

/* ---- The ledger (ACCT_APPLY), or the master without one (ACCT_WRITE) ---- */

/* Publishes that this is applied and durable. */
void acct_applied_set(struct acct *a, uint32_t row, const struct acct_view *view);
/* What was published last: key is empty, seq 0 when nothing was. false: the publisher was
 * killed in the middle. */
bool acct_applied_get(const struct acct *a, uint32_t row, struct acct_view *view);
