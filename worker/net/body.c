/* The request-body store: a queue of memory blocks, then an unlinked file.
 * SPDX-License-Identifier: MIT */
#include "worker/net/body.h"

#include "worker/net/req.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_FIRST 8192 /* of a body whose length is not known */
#define BLOCK_MAX 65536
#define BLOCK_MIN 4096

/* The writer fills a block from the left, the reader follows; the bytes on either side of
 * `filled` belong to one of them alone, so only the positions need the lock. */
struct block {
	struct block *next;
	size_t cap, filled, read;
	char data[];
};

struct body {
	pthread_mutex_t lock;
	/* Constant after body_create() and body_expect() */
	size_t memory_max;
	bool spool;
	const char *dir; /* borrowed */
	uint64_t expected;
	/* Under the lock */
	struct block *head, *tail; /* owned */
	size_t in_memory;          /* bytes in blocks, not yet read */
	uint64_t received, consumed;
	uint64_t file_written;
	const char *error;
	bool bad_framing;
	bool ended;
	bool writer_waits;
	/* Set once by the writer under the lock; only the reader reads from it */
	int fd; /* owned; -1 */
	/* The reader's own */
	uint64_t file_read;
};

struct body *
body_create(size_t memory_max, bool spool, const char *dir)
{
	struct body *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return NULL;
	pthread_mutex_init(&b->lock, NULL);
	b->memory_max = memory_max;
	b->spool = spool;
	b->dir = dir;
	b->expected = UINT64_MAX;
	b->fd = -1;
	return b;
}

void
body_destroy(struct body *b)
{
	if (b == NULL)
		return;
	while (b->head != NULL) {
		struct block *next = b->head->next;

		free(b->head);
		b->head = next;
	}
	if (b->fd >= 0)
		close(b->fd);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void
body_expect(struct body *b, uint64_t length)
{
	b->expected = length;
}

/* Under the lock: how much more may lie in memory. */
static size_t
memory_left(const struct body *b)
{
	return b->memory_max - MIN(b->in_memory, b->memory_max);
}

/* A known length gets one block of its size; an unknown one blocks that grow with it. */
static size_t
block_size(const struct body *b)
{
	uint64_t missing = b->expected - MIN(b->received, b->expected);
	size_t guess = b->tail == NULL ? BLOCK_FIRST : b->tail->cap * 2;

	/* A buffer that is nearly full must not be continued in crumbs. */
	if (b->expected != UINT64_MAX)
		return (size_t)MIN(missing, (uint64_t)MAX(memory_left(b), BLOCK_MIN));
	return MAX(MIN(MIN(guess, BLOCK_MAX), memory_left(b)), BLOCK_MIN);
}

/* The writer's, under the lock: a tail block with room, or NULL. */
static struct block *
tail_with_room(struct body *b)
{
	struct block *t = b->tail;
	size_t cap;

	if (t != NULL && t->filled < t->cap)
		return t;
	cap = block_size(b);
	if (cap == 0)
		return NULL;
	t = malloc(sizeof(*t) + cap);
	if (t == NULL)
		return NULL;
	t->next = NULL;
	t->cap = cap;
	t->filled = t->read = 0;
	if (b->tail == NULL)
		b->head = t;
	else
		b->tail->next = t;
	b->tail = t;
	return t;
}

char *
body_room(struct body *b, size_t *n)
{
	uint64_t missing;
	struct block *t = NULL;
	char *room = NULL;

	*n = 0;
	pthread_mutex_lock(&b->lock);
	missing = b->expected - MIN(b->received, b->expected);
	if (b->fd < 0 && memory_left(b) > 0 && missing > 0)
		t = tail_with_room(b);
	if (t != NULL) {
		*n = (size_t)MIN(MIN(t->cap - t->filled, memory_left(b)), missing);
		room = t->data + t->filled;
	} else if (memory_left(b) == 0 && !b->spool) {
		b->writer_waits = true;
	}
	pthread_mutex_unlock(&b->lock);
	return room;
}

/* Under the lock. */
static void
commit(struct body *b, size_t n)
{
	b->tail->filled += n;
	b->in_memory += n;
	b->received += n;
}

void
body_commit(struct body *b, size_t n)
{
	pthread_mutex_lock(&b->lock);
	if (n > 0)
		commit(b, n);
	pthread_mutex_unlock(&b->lock);
}

static int
open_in(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	char *path;

	/* Some file systems (NFS, overlayfs of old kernels) have no O_TMPFILE. */
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (asprintf(&path, "%s/shoal-body-XXXXXX", dir) < 0)
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	free(path);
	return fd;
}

static int
file_open(struct body *b, struct err *e)
{
	const char *dir = b->dir;
	int fd;

	if (dir == NULL)
		dir = getenv("TMPDIR");
	if (dir == NULL || *dir == 0)
		dir = "/tmp";
	fd = open_in(dir);
	if (fd < 0)
		return err_errno(e, "cannot make a file for a request body in %s", dir);
	pthread_mutex_lock(&b->lock);
	b->fd = fd;
	pthread_mutex_unlock(&b->lock);
	return 0;
}

static int
file_append(struct body *b, const char *p, size_t n, struct err *e)
{
	if (b->fd < 0 && file_open(b, e) < 0)
		return -1;
	while (n > 0) {
		ssize_t done = pwrite(b->fd, p, n, (off_t)b->file_written);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return err_errno(e, "cannot write a request body to its file");
		pthread_mutex_lock(&b->lock);
		b->file_written += (uint64_t)done;
		b->received += (uint64_t)done;
		pthread_mutex_unlock(&b->lock);
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int
body_append(struct body *b, const char *p, size_t n, struct err *e)
{
	struct block *t = NULL;
	size_t left = 0;

	/* Once there is a file everything goes there: the order is memory, then file. */
	while (n > 0 && b->fd < 0) {
		size_t take = 0;

		pthread_mutex_lock(&b->lock);
		left = memory_left(b);
		t = left > 0 ? tail_with_room(b) : NULL;
		if (t != NULL)
			take = MIN(n, MIN(left, t->cap - t->filled));
		pthread_mutex_unlock(&b->lock);
		if (take == 0)
			break;
		memcpy(t->data + t->filled, p, take);
		body_commit(b, take);
		p += take;
		n -= take;
	}
	if (n == 0)
		return 0;
	if (b->spool)
		return file_append(b, p, n, e);
	return err_set(e, left > 0 ? "no memory for a request body"
				   : "more of a request body than its buffer takes");
}

size_t
body_space(struct body *b)
{
	size_t n;

	if (b->spool)
		return SIZE_MAX;
	pthread_mutex_lock(&b->lock);
	n = memory_left(b);
	if (n == 0)
		b->writer_waits = true;
	pthread_mutex_unlock(&b->lock);
	return n;
}

void
body_end(struct body *b)
{
	pthread_mutex_lock(&b->lock);
	b->ended = b->error == NULL;
	pthread_mutex_unlock(&b->lock);
}

void
body_break(struct body *b, const char *reason, bool bad_framing)
{
	pthread_mutex_lock(&b->lock);
	if (b->error == NULL && !b->ended) {
		b->error = reason;
		b->bad_framing = bad_framing;
	}
	pthread_mutex_unlock(&b->lock);
}

/* Under the lock: gives a block back that both sides are through with. */
static void
drop_read_blocks(struct body *b)
{
	struct block *h = b->head;

	if (h->read < h->filled)
		return;
	if (h != b->tail) {
		b->head = h->next;
		free(h);
	} else if (h->filled == h->cap) {
		b->head = b->tail = NULL;
		free(h);
	}
}

static int64_t
file_read(struct body *b, char *dst, size_t n)
{
	ssize_t got;

	do
		got = pread(b->fd, dst, n, (off_t)b->file_read);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		pthread_mutex_lock(&b->lock);
		b->error = "the body's file cannot be read";
		b->ended = false;
		pthread_mutex_unlock(&b->lock);
		return BODY_BROKEN;
	}
	pthread_mutex_lock(&b->lock);
	b->consumed += (uint64_t)got;
	pthread_mutex_unlock(&b->lock);
	b->file_read += (uint64_t)got;
	return got;
}

static void
memory_read(struct body *b, struct block *h, char *dst, size_t n)
{
	memcpy(dst, h->data + h->read, n);
	pthread_mutex_lock(&b->lock);
	h->read += n;
	b->in_memory -= n;
	b->consumed += n;
	drop_read_blocks(b);
	pthread_mutex_unlock(&b->lock);
}

int64_t
body_read(struct body *b, char *dst, size_t n)
{
	int64_t verdict = BODY_AGAIN;
	struct block *h;
	size_t in_block = 0;
	uint64_t in_file;

	if (n == 0)
		return 0;
	pthread_mutex_lock(&b->lock);
	/* A block read to its end stays while the writer may still be filling the next. */
	if (b->head != NULL && b->head->read == b->head->filled && b->head != b->tail)
		drop_read_blocks(b);
	h = b->head;
	if (h != NULL)
		in_block = h->filled - h->read;
	in_file = b->file_written - b->file_read;
	if (b->error != NULL)
		verdict = BODY_BROKEN;
	else if (b->ended)
		verdict = 0;
	pthread_mutex_unlock(&b->lock);
	if (in_block > 0) {
		n = MIN(n, in_block);
		memory_read(b, h, dst, n);
		return (int64_t)n;
	}
	if (in_file > 0)
		return file_read(b, dst, (size_t)MIN((uint64_t)n, in_file));
	return verdict;
}

bool
body_room_wanted(struct body *b)
{
	bool wanted;

	pthread_mutex_lock(&b->lock);
	wanted = b->writer_waits && b->in_memory <= b->memory_max / 2;
	if (wanted)
		b->writer_waits = false;
	pthread_mutex_unlock(&b->lock);
	return wanted;
}

uint64_t
body_ready(struct body *b)
{
	uint64_t n;

	pthread_mutex_lock(&b->lock);
	n = b->received - b->consumed;
	pthread_mutex_unlock(&b->lock);
	return n;
}

bool
body_complete(struct body *b)
{
	bool ended;

	pthread_mutex_lock(&b->lock);
	ended = b->ended;
	pthread_mutex_unlock(&b->lock);
	return ended;
}

uint64_t
body_received(struct body *b)
{
	uint64_t n;

	pthread_mutex_lock(&b->lock);
	n = b->received;
	pthread_mutex_unlock(&b->lock);
	return n;
}

const char *
body_error(struct body *b, bool *bad_framing)
{
	const char *error;

	pthread_mutex_lock(&b->lock);
	error = b->error;
	if (bad_framing != NULL)
		*bad_framing = b->bad_framing;
	pthread_mutex_unlock(&b->lock);
	return error;
}
