/* Frame stacks for greenlets. Why: since CPython 3.11 each greenlet that runs gets a chunk
 * of its own for Python frames, from mmap() and with munmap() at its end. For a short
 * request that is most of what the greenlet costs. SPDX-License-Identifier: MIT */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "worker/py/chunks.h"

#include "common/base.h"

/* DATA_STACK_CHUNK_SIZE of CPython; arenas of objects are larger. */
#define CHUNK_SIZE (16 * 1024)
#define CHUNKS_KEPT 128

static struct chunks {
	PyObjectArenaAllocator system; /* what there was before */
	void *kept[CHUNKS_KEPT];       /* owned */
	unsigned n;
} chunks;

/* Only this thread's are kept: others may come here without the GIL when they end. */
static __thread bool is_ours;

static void *
on_alloc(void *ctx, size_t size)
{
	(void)ctx;
	if (size == CHUNK_SIZE && is_ours && chunks.n > 0)
		return chunks.kept[--chunks.n];
	return chunks.system.alloc(chunks.system.ctx, size);
}

static void
on_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size == CHUNK_SIZE && is_ours && chunks.n < CHUNKS_KEPT)
		chunks.kept[chunks.n++] = p;
	else
		chunks.system.free(chunks.system.ctx, p, size);
}

void
chunks_keep(void)
{
	PyObjectArenaAllocator ours = {.alloc = on_alloc, .free = on_free};

	is_ours = true;
	PyObject_GetArenaAllocator(&chunks.system);
	PyObject_SetArenaAllocator(&ours);
}
