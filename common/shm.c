/* Memory shared between processes: made so that no later access can fail.
 * SPDX-License-Identifier: MIT */
#include "common/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int
shm_create(const char *name, size_t size, struct err *e)
{
	AUTO_FD int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int rc;

	if (fd < 0)
		return err_errno(e, "shared segment: memfd_create");
	/* Every page now: without memory later a worker would die of SIGBUS in a counter.
	 */
	do
		rc = posix_fallocate(fd, 0, (off_t)size);
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

void *
shm_map(int fd, size_t size, struct err *e)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0) {
		err_errno(e, "shared segment: descriptor %d", fd);
		return NULL;
	}
	if (st.st_size != (off_t)size) {
		err_set(e, "shared segment: expected %zu bytes, found %lld", size,
		    (long long)st.st_size);
		return NULL;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		err_errno(e, "shared segment: mmap");
		return NULL;
	}
	return p;
}
