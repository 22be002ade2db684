/* The shared segment of one worker: made by the master, mapped by both.
 * SPDX-License-Identifier: MIT */
#include "common/seg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The master sees the pages of a worker it did not stop: plain memory, no locks in it. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "shared counters need lock-free atomics");

static struct seg *
map(int fd, struct err *e)
{
	void *p = mmap(NULL, sizeof(struct seg), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED) {
		err_errno(e, "shared segment: mmap");
		return NULL;
	}
	return p;
}

static int
create_file(struct err *e)
{
	AUTO_FD int fd = memfd_create("shoal-seg", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return err_errno(e, "shared segment: memfd_create");
	/* Every page now: without memory later a worker would die of SIGBUS in a counter.
	 */
	do
		rc = posix_fallocate(fd, 0, sizeof(struct seg));
	while (rc == EINTR);
	if (rc != 0) {
		errno = rc;
		return err_errno(e, "shared segment: posix_fallocate");
	}
	/* And nobody can take them away again. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return err_errno(e, "shared segment: seal");
	return TAKE_FD(fd);
}

struct seg *
seg_create(unsigned slot, unsigned generation, unsigned epoch, int *fd, struct err *e)
{
	AUTO_FD int file = create_file(e);
	struct seg *s;

	if (file < 0)
		return NULL;
	s = map(file, e);
	if (s == NULL)
		return NULL;
	s->size = sizeof(*s);
	s->slot = slot;
	s->generation = generation;
	s->epoch = epoch;
	s->magic = SEG_MAGIC;
	*fd = TAKE_FD(file);
	return s;
}

struct seg *
seg_open(int fd, struct err *e)
{
	struct stat st;
	struct seg *s;

	if (fstat(fd, &st) != 0) {
		err_errno(e, "shared segment: descriptor %d", fd);
		return NULL;
	}
	if (st.st_size != (off_t)sizeof(*s)) {
		err_set(e, "shared segment: expected %zu bytes, found %lld", sizeof(*s),
		    (long long)st.st_size);
		return NULL;
	}
	s = map(fd, e);
	if (s == NULL)
		return NULL;
	if (s->magic != SEG_MAGIC || s->size != sizeof(*s)) {
		err_set(e, "shared segment: made by another version");
		seg_close(s);
		return NULL;
	}
	return s;
}

void
seg_close(struct seg *s)
{
	if (s != NULL)
		munmap(s, sizeof(*s));
}
