/* Quotas in shared memory. SPDX-License-Identifier: MIT */
#include "common/quota.h"

#include "common/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#define LAYOUT 1
#define HEAD_BYTES 4096
#define FILL_MAX (QUOTA_ROWS / 4 * 3) /* probing stays short */
#define TRIES 4                       /* tables are exchanged once a second */

static const char magic[8] = "SHOALQT1";

_Static_assert(sizeof(struct quota_head) <= HEAD_BYTES, "the tables come after it");

static size_t
file_size(void)
{
	return HEAD_BYTES + sizeof(struct quota_row[2][QUOTA_ROWS]);
}

static int
fill(int fd, struct err *e)
{
	struct quota_head h = {
	    .layout = LAYOUT, .rows = QUOTA_ROWS, .row_size = sizeof(struct quota_row)};
	int rc;

	do
		rc = posix_fallocate(fd, 0, (off_t)file_size());
	while (rc == EINTR);
	if (rc != 0) {
		errno = rc;
		return err_errno(e, "quotas: no memory for the table");
	}
	if (getrandom(h.hash_key, sizeof(h.hash_key), 0) != sizeof(h.hash_key))
		return err_errno(e, "quotas: getrandom");
	memcpy(h.magic, magic, sizeof(magic));
	if (pwrite(fd, &h, sizeof(h), 0) != sizeof(h))
		return err_errno(e, "quotas: cannot write the table's head");
	return 0;
}

static bool
is_whole(int fd)
{
	struct quota_head h;
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == (off_t)file_size() &&
	       pread(fd, &h, sizeof(h), 0) == sizeof(h) &&
	       memcmp(h.magic, magic, sizeof(magic)) == 0 && h.layout == LAYOUT &&
	       h.rows == QUOTA_ROWS && h.row_size == sizeof(struct quota_row);
}

int
quota_file(int dir_fd, bool writable, struct err *e)
{
	AUTO_FD int fd =
	    openat(dir_fd, QUOTA_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, "quotas: " QUOTA_FILE);
	if (!is_whole(fd)) {
		/* Of another version: whoever has it mapped keeps what it has. */
		close(TAKE_FD(fd));
		(void)unlinkat(dir_fd, QUOTA_FILE, 0);
		fd =
		    openat(dir_fd, QUOTA_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return err_errno(e, "quotas: " QUOTA_FILE);
		if (fill(fd, e) < 0) {
			(void)unlinkat(dir_fd, QUOTA_FILE, 0);
			return -1;
		}
	}
	if (writable)
		return TAKE_FD(fd);
	int reader = openat(dir_fd, QUOTA_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return reader < 0 ? err_errno(e, "quotas: " QUOTA_FILE) : reader;
}

int
quota_memory(int *reader, struct err *e)
{
	AUTO_FD int fd = memfd_create("shoal-quota", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char path[40];

	if (fd < 0)
		return err_errno(e, "quotas: memfd_create");
	/* A memfd is anybody's to open again for writing, unless its mode says otherwise.
	 */
	if (fill(fd, e) < 0)
		return -1;
	if (fchmod(fd, 0600) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, "quotas: memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*reader = open(path, O_RDONLY | O_CLOEXEC);
	return *reader < 0 ? err_errno(e, "quotas: %s", path) : TAKE_FD(fd);
}

int
quota_open(struct quota *q, int fd, bool writable, struct err *e)
{
	char *p;

	*q = (struct quota){0};
	if (!is_whole(fd))
		return err_set(e, "quotas: descriptor %d is no table of quotas", fd);
	p = mmap(NULL, file_size(), writable ? PROT_READ | PROT_WRITE : PROT_READ,
	    MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_errno(e, "quotas: mmap");
	q->head = (struct quota_head *)p;
	q->table[0] = (struct quota_row *)(p + HEAD_BYTES);
	q->table[1] = q->table[0] + QUOTA_ROWS;
	q->size = file_size();
	q->writable = writable;
	return 0;
}

void
quota_close(struct quota *q)
{
	if (q->head != NULL)
		munmap(q->head, q->size);
	*q = (struct quota){0};
}

static bool
is_row(const struct quota_row *r, uint64_t hash, const char *key, size_t n)
{
	return r->hash == hash && r->key_len == n && memcmp(r->key, key, n) == 0;
}

static struct quota_view
view_of(const struct quota_row *r)
{
	return (struct quota_view){
	    .state = r->state < QUOTA_STATES ? (enum quota_state)r->state : QUOTA_OK,
	    .limit = r->limit,
	    .used = r->used,
	    .rate = r->rate,
	    .until = r->until,
	};
}

static void
look_up(const struct quota_row *table, uint64_t hash, const char *key, size_t n,
    struct quota_view *view)
{
	for (size_t i = 0; i < QUOTA_ROWS; i++) {
		const struct quota_row *r = &table[(hash + i) % QUOTA_ROWS];

		if (r->key_len == 0)
			return;
		if (!is_row(r, hash, key, n))
			continue;
		*view = view_of(r);
		return;
	}
}

void
quota_find(const struct quota *q, const char *key, size_t n, struct quota_view *view)
{
	uint64_t hash = 0;

	for (int tries = 0; tries < TRIES; tries++) {
		uint64_t version =
		    atomic_load_explicit(&q->head->version, memory_order_acquire);

		*view = (struct quota_view){.state = QUOTA_OK};
		if (n == 0 || n > ACCT_KEY_MAX || q->head->used[version & 1] == 0)
			return;
		if (tries == 0)
			hash = siphash(q->head->hash_key, key, n);
		look_up(q->table[version & 1], hash, key, n, view);
		/* The table read is written again only after the next exchange. */
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&q->head->version, memory_order_relaxed) ==
		    version)
			return;
	}
}

bool
quota_each(const struct quota *q, quota_each_fn *fn, void *ctx)
{
	uint64_t version = atomic_load_explicit(&q->head->version, memory_order_acquire);
	const struct quota_row *table = q->table[version & 1];

	for (size_t i = 0; i < QUOTA_ROWS && q->head->used[version & 1] > 0; i++) {
		struct quota_view view = view_of(&table[i]);
		/* Once: the ledger may be writing it. */
		uint32_t n = *(const volatile uint32_t *)&table[i].key_len;

		if (n > 0 && n <= ACCT_KEY_MAX)
			fn(ctx, table[i].key, n, &view);
	}
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&q->head->version, memory_order_relaxed) == version;
}

static unsigned
spare_table(const struct quota *q)
{
	return (unsigned)(atomic_load_explicit(&q->head->version, memory_order_relaxed) +
			  1) &
	       1;
}

void
quota_begin(struct quota *q)
{
	unsigned spare = spare_table(q);

	q->head->used[spare] = 0;
	memset(q->table[spare], 0, QUOTA_ROWS * sizeof(struct quota_row));
}

bool
quota_add(struct quota *q, const char *key, size_t n, const struct quota_view *view)
{
	unsigned spare = spare_table(q);
	uint64_t hash = siphash(q->head->hash_key, key, n);
	struct quota_row *r;

	if (n == 0 || n > ACCT_KEY_MAX || q->head->used[spare] >= FILL_MAX)
		return false;
	for (size_t i = 0;; i++) {
		r = &q->table[spare][(hash + i) % QUOTA_ROWS];
		if (r->key_len == 0)
			break;
	}
	r->hash = hash;
	r->state = view->state;
	r->limit = view->limit;
	r->used = view->used;
	r->rate = view->rate;
	r->until = view->until;
	memcpy(r->key, key, n);
	r->key_len = (uint32_t)n;
	q->head->used[spare]++;
	return true;
}

void
quota_publish(struct quota *q)
{
	atomic_fetch_add_explicit(&q->head->version, 1, memory_order_release);
}
