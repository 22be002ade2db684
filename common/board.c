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
board_reset(struct board *b, unsigned line)
{
	if (line >= BOARD_LINES)
		return;
	if (atomic_load_explicit(&b->used, memory_order_relaxed) <= line)
		atomic_store_explicit(&b->used, line + 1, memory_order_relaxed);
	atomic_store_explicit(&b->line[line].accepting, 0, memory_order_relaxed);
	atomic_store_explicit(&b->line[line].connections, 0, memory_order_relaxed);
}

bool
board_has_share(const struct board *b, uint32_t mine)
{
	uint32_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
	uint64_t total = 0, workers = 0;

	for (uint32_t i = 0; i < MIN(used, BOARD_LINES); i++) {
		if (!atomic_load_explicit(&b->line[i].accepting, memory_order_relaxed))
			continue;
		workers++;
		total +=
		    atomic_load_explicit(&b->line[i].connections, memory_order_relaxed);
	}
	/* An eighth and two above the average: exact shares would make connections wait for
	 * the one worker that is below it. */
	return workers > 1 && mine > total / workers + total / workers / 8 + 2;
}
