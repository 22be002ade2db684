/* What is lent to the output queue. Why a way back: the I/O thread cannot drop a reference,
 * it has no GIL. SPDX-License-Identifier: MIT */
#include "worker/py/lend.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct lend {
	struct lend *next;
	PyObject *obj; /* owned, or NULL */
	int fd;        /* owned, or -1 */
};

/* Pushed by the I/O thread, newest first. */
static _Atomic(struct lend *) returned;

static struct lend *
lend_make(PyObject *obj, int fd)
{
	struct lend *l = malloc(sizeof(*l));

	if (l != NULL)
		*l = (struct lend){.obj = obj, .fd = fd};
	return l;
}

struct lend *
lend_bytes(PyObject *obj)
{
	struct lend *l = lend_make(obj, -1);

	if (l != NULL)
		Py_INCREF(obj);
	return l;
}

struct lend *
lend_fd(int fd)
{
	return lend_make(NULL, fd);
}

void
lend_cancel(struct lend *l)
{
	Py_XDECREF(l->obj);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

bool
lend_return(struct lend *l)
{
	struct lend *head;

	if (l->obj == NULL) {
		close(l->fd);
		free(l);
		return false;
	}
	head = atomic_load_explicit(&returned, memory_order_relaxed);
	do {
		l->next = head;
	} while (!atomic_compare_exchange_weak(&returned, &head, l));
	return true;
}

bool
lend_any_returned(void)
{
	return atomic_load(&returned) != NULL;
}

void
lend_drop_returned(void)
{
	struct lend *l = atomic_load_explicit(&returned, memory_order_relaxed);

	if (LIKELY(l == NULL))
		return;
	l = atomic_exchange(&returned, NULL);
	while (l != NULL) {
		struct lend *next = l->next;

		lend_cancel(l);
		l = next;
	}
}
