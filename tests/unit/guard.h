/* Input right in front of an inaccessible page, so that reading one byte too far crashes.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>
#include <sys/mman.h>

#include "common/base.h"

struct guard {
	char *map; /* owned */
	size_t size;
};

static inline void
guard_init(struct guard *g, size_t max)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	g->size = (max + page - 1) / page * page;
	g->map = mmap(NULL, g->size + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED || mprotect(g->map + g->size, page, PROT_NONE) < 0) {
		perror("guard page");
		abort();
	}
}

static inline void
guard_finish(struct guard *g)
{
	munmap(g->map, g->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* A copy of the n bytes (at most max) that ends where the guard begins; the last copy is
 * overwritten. */
static inline const char *
guard_place(struct guard *g, const void *bytes, size_t n)
{
	char *at = g->map + g->size - n;

	if (n)
		memmove(at, bytes, n);
	return at;
}
