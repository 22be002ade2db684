/* The board: shared memory in which each worker keeps one line.
 * SPDX-License-Identifier: MIT */
#include "common/board.h"

#include "common/shm.h"

#include <sys/mman.h>

struct board *
board_create(int *fd, struct err *e)
{
	AUTO_FD int file = shm_create("shoal-board", sizeof(struct board), e);
	struct board *b;

	if (file < 0)
		return NULL;
	b = shm_map(file, sizeof(*b), e);
	if (b != NULL)
		*fd = TAKE_FD(file);
	return b;
}

struct board *
board_open(int fd, struct err *e)
{
	return shm_map(fd, sizeof(struct board), e);
}

void
board_close(struct board *b)
{
	if (b != NULL)
		munmap(b, sizeof(*b));
}

void
board_reset(struct board *b, unsigned slot)
{
	if (slot >= BOARD_SLOTS)
		return;
	atomic_store_explicit(&b->slot[slot].accepting, 0, memory_order_relaxed);
	atomic_store_explicit(&b->slot[slot].connections, 0, memory_order_relaxed);
}

bool
board_has_share(const struct board *b, uint32_t mine)
{
	uint64_t total = 0, workers = 0;

	for (unsigned i = 0; i < BOARD_SLOTS; i++) {
		if (!atomic_load_explicit(&b->slot[i].accepting, memory_order_relaxed))
			continue;
		workers++;
		total +=
		    atomic_load_explicit(&b->slot[i].connections, memory_order_relaxed);
	}
	/* An eighth and two above the average: exact shares would make connections wait for
	 * the one worker that is below it. */
	return workers > 1 && mine > total / workers + total / workers / 8 + 2;
}
