/* The shared segment of one worker: made by the master, mapped by both.
 * SPDX-License-Identifier: MIT */
#include "common/seg.h"

#include "common/shm.h"

#include <sys/mman.h>

/* The master sees the pages of a worker it did not stop: plain memory, no locks in it. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
    "shared counters need lock-free atomics");

struct seg *
seg_create(unsigned slot, unsigned generation, unsigned epoch, int *fd, struct err *e)
{
	AUTO_FD int file = shm_create("shoal-seg", sizeof(struct seg), e);
	struct seg *s;

	if (file < 0)
		return NULL;
	s = shm_map(file, sizeof(*s), e);
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
	struct seg *s = shm_map(fd, sizeof(*s), e);

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

struct topk_table
seg_top(struct seg *s, enum top_by by)
{
	const struct topk_table tables[TOPS] = {
	    [TOP_CLIENT] = {s->tops.entry[by], s->tops.client, TOP_CLIENT_MAX},
	    [TOP_HOST] = {s->tops.entry[by], s->tops.host, TOP_HOST_MAX},
	    [TOP_AGENT] = {s->tops.entry[by], s->tops.agent, TOP_AGENT_MAX},
	};

	return tables[by];
}
