/* Tables of accounts: made, opened and checked, closed.
 * SPDX-License-Identifier: MIT */
#include "common/acct.h"

#include "common/acct_index.h"
#include "common/acct_spare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

/* No page is larger anywhere, so each part can be mapped with its own rights. */
#define PART_ALIGN 65536
#define HEAD_BYTES 4096

_Static_assert(sizeof(struct acct_head) <= HEAD_BYTES, "the rows come after it");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "shared rows need lock-free atomics");

static const char *const column_names[ACCT_COLUMNS] = {
#define ACCT(name, ...) [ACCT_##name] = #name,
#include "common/acct.def"
#undef ACCT
};

static size_t
applied_begin(uint32_t rows)
{
	size_t end = HEAD_BYTES + rows * sizeof(struct acct_row);

	return (end + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN;
}

static size_t
table_size(uint32_t rows)
{
	return applied_begin(rows) + rows * sizeof(struct acct_applied);
}

static unsigned
possible_rows(unsigned rows)
{
	return MAX(MIN(rows, (unsigned)ACCT_ROWS_MAX), (unsigned)ACCT_ROWS_MIN);
}

size_t
acct_size(unsigned rows)
{
	return table_size(possible_rows(rows));
}

int
acct_allocate(int fd, size_t size, struct err *e)
{
	int rc;

	do
		rc = posix_fallocate(fd, 0, (off_t)size);
	while (rc == EINTR);
	if (rc == 0)
		return 0;
	errno = rc;
	return err_errno(e, "accounts: no room for a table of %zu bytes", size);
}

static void
read_boot_id(uint8_t id[16])
{
	char text[40] = "";
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned digits = 0;

	for (ssize_t i = 0; i < n && digits < 32; i++) {
		char c = text[i];
		int v = c >= '0' && c <= '9'   ? c - '0'
			: c >= 'a' && c <= 'f' ? c - 'a' + 10
					       : -1;

		if (v < 0)
			continue;
		id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | v);
		digits++;
	}
}

static void
fill_head(struct acct_head *h, uint32_t rows, const unsigned id[3])
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	h->layout = ACCT_LAYOUT;
	h->size = sizeof(*h);
	h->slot = id[0];
	h->epoch = id[1];
	h->generation = id[2];
	h->created_unix_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	h->columns = ACCT_COLUMNS;
	h->rows = rows;
	h->row_size = sizeof(struct acct_row);
	h->applied_size = sizeof(struct acct_applied);
	h->rows_at = HEAD_BYTES;
	h->applied_at = applied_begin(rows);
	for (unsigned i = 0; i < ACCT_COLUMNS; i++)
		snprintf(
		    h->column[i].name, sizeof(h->column[i].name), "%s", column_names[i]);
	memcpy(h->magic, ACCT_MAGIC, sizeof(h->magic));
}

static void
name_reserved(struct acct_row *rows)
{
	static const char *const names[ACCT_ROWS_RESERVED] = {
	    [ACCT_ROW_OVERFLOW] = ACCT_NAME_OVERFLOW,
	    [ACCT_ROW_NONE] = ACCT_NAME_NONE,
	    [ACCT_ROW_INTERNAL] = ACCT_NAME_INTERNAL,
	};

	for (unsigned i = 0; i < ACCT_ROWS_RESERVED; i++) {
		rows[i].key_len = (uint32_t)strlen(names[i]);
		memcpy((char *)rows[i].key, names[i], strlen(names[i]));
	}
}

void
acct_file_name(const struct acct_head *h, char name[ACCT_FILE_MAX])
{
	int n = snprintf(name, ACCT_FILE_MAX, "seg-%u-%u-", h->slot, h->epoch);

	for (unsigned i = 0; i < sizeof(h->uuid) && n < ACCT_FILE_MAX - 2; i++)
		n += snprintf(name + n, (size_t)(ACCT_FILE_MAX - n), "%02x", h->uuid[i]);
}

static int
memory_file(size_t size, struct err *e)
{
	AUTO_FD int fd = memfd_create("shoal-accounts", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_errno(e, "accounts: memfd_create");
	if (acct_allocate(fd, size, e) < 0)
		return -1;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_errno(e, "accounts: seal");
	return TAKE_FD(fd);
}

/* A new file under this name; without room, a reserved one, under the one it has. */
static int
disk_file(int dir_fd, size_t size, char name[ACCT_FILE_MAX], struct err *e)
{
	AUTO_FD int fd = -1;

	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err_errno(e, "accounts: %s", name);
	else if (acct_allocate(fd, size, e) == 0)
		return TAKE_FD(fd);
	else
		(void)unlinkat(dir_fd, name, 0);
	return acct_spare_open(dir_fd, size, name);
}

/* Head and reserved rows by write(), the magic with them: nobody has the descriptor yet,
 * and who lists the directory meets a file that is too short or whole. */
static int
table_write(int fd, const struct acct_head *h, struct err *e)
{
	struct acct_row reserved[ACCT_ROWS_RESERVED] = {0};

	name_reserved(reserved);
	if (pwrite(fd, reserved, sizeof(reserved), HEAD_BYTES) != sizeof(reserved) ||
	    pwrite(fd, h, sizeof(*h), 0) != sizeof(*h))
		return err_errno(e, "accounts: cannot write a table's head");
	return 0;
}

static int
place_file(int dir_fd, const char *made_as, const char *name, struct err *e)
{
	if (dir_fd < 0 || strcmp(made_as, name) == 0 ||
	    renameat(dir_fd, made_as, dir_fd, name) == 0)
		return 0;
	return err_errno(e, "accounts: %s", name);
}

int
acct_create(
    struct acct *a, int dir_fd, unsigned rows, const unsigned id[3], int *fd, struct err *e)
{
	struct acct_head h = {.state = ACCT_LIVE, .used = ACCT_ROWS_RESERVED};
	char name[ACCT_FILE_MAX], made_as[ACCT_FILE_MAX];
	AUTO_FD int file = -1;

	rows = possible_rows(rows);
	fill_head(&h, rows, id);
	if (getrandom(h.uuid, sizeof(h.uuid), 0) != sizeof(h.uuid) ||
	    getrandom(h.hash_key, sizeof(h.hash_key), 0) != sizeof(h.hash_key))
		return err_errno(e, "accounts: getrandom");
	/* Where /proc shows processes only (ProcSubset=pid) it stays zeros. */
	read_boot_id(h.boot_id);
	acct_file_name(&h, name);
	strcpy(made_as, name);
	file = dir_fd < 0 ? memory_file(table_size(rows), e)
			  : disk_file(dir_fd, table_size(rows), made_as, e);
	if (file < 0)
		return -1;
	if (table_write(file, &h, e) == 0 && acct_open(a, file, ACCT_WRITE, e) == 0) {
		if (place_file(dir_fd, made_as, name, e) == 0) {
			*fd = TAKE_FD(file);
			return 0;
		}
		acct_close(a);
	}
	if (dir_fd >= 0)
		(void)unlinkat(dir_fd, made_as, 0);
	return -1;
}

/* NULL, or what is wrong with it. */
static const char *
head_fault(const struct acct_head *h, off_t file_size)
{
	if (memcmp(h->magic, ACCT_MAGIC, sizeof(h->magic)) != 0)
		return "no table of accounts";
	if (h->layout != ACCT_LAYOUT || h->size != sizeof(*h) ||
	    h->row_size != sizeof(struct acct_row) ||
	    h->applied_size != sizeof(struct acct_applied))
		return "made by another version";
	if (h->rows < ACCT_ROWS_MIN || h->rows > ACCT_ROWS_MAX || h->columns == 0 ||
	    h->columns > ACCT_COLUMNS_MAX)
		return "impossible numbers of rows or columns";
	if (h->rows_at != HEAD_BYTES || h->applied_at != applied_begin(h->rows) ||
	    file_size != (off_t)table_size(h->rows))
		return "its size is not what its head says";
	for (unsigned i = 0; i < h->columns; i++)
		if (memchr(h->column[i].name, '\0', sizeof(h->column[i].name)) == NULL)
			return "a column has no name";
	return NULL;
}

/* Where each of our columns is among the table's. */
static void
place_columns(struct acct *a, const struct acct_head *h)
{
	for (unsigned mine = 0; mine < ACCT_COLUMNS; mine++) {
		a->place[mine] = -1;
		for (unsigned i = 0; i < h->columns; i++)
			if (strcmp(h->column[i].name, column_names[mine]) == 0)
				a->place[mine] = (int8_t)i;
	}
}

static int
table_map(struct acct *a, int fd, size_t size, enum acct_mode mode, struct err *e)
{
	const int prot = mode == ACCT_WRITE ? PROT_READ | PROT_WRITE : PROT_READ;
	char *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return err_errno(e, "accounts: mmap");
	*a = (struct acct){.head = (void *)p, .size = size, .mode = mode};
	return 0;
}

int
acct_open(struct acct *a, int fd, enum acct_mode mode, struct err *e)
{
	struct acct_head h; /* a copy: the one checked is the one used */
	const char *fault;
	struct stat st;

	*a = (struct acct){0};
	if (fstat(fd, &st) != 0)
		return err_errno(e, "accounts: descriptor %d", fd);
	if (st.st_size < HEAD_BYTES || !S_ISREG(st.st_mode))
		return err_set(e, "accounts: no table of accounts");
	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return err_errno(e, "accounts: cannot read a table's head");
	fault = head_fault(&h, st.st_size);
	if (fault != NULL)
		return err_set(e, "accounts: %s", fault);
	if (table_map(a, fd, (size_t)st.st_size, mode, e) < 0)
		return -1;
	a->row = (void *)((char *)a->head + h.rows_at);
	a->applied = (void *)((char *)a->head + h.applied_at);
	a->rows = h.rows;
	a->columns = h.columns;
	place_columns(a, &h);
	if (mode == ACCT_APPLY &&
	    mprotect(a->applied, a->size - h.applied_at, PROT_READ | PROT_WRITE) != 0) {
		err_errno(e, "accounts: mprotect");
		acct_close(a);
		return -1;
	}
	return 0;
}

void
acct_close(struct acct *a)
{
	if (a->head != NULL)
		munmap(a->head, a->size);
	acct_index_destroy(a->index);
	*a = (struct acct){0};
}
