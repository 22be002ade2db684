/* The few macros and the string view that every file of the project uses.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Each argument is evaluated once: it may be a call, or memory another thread writes. Both
 * are taken as the type their sum would have. */
#define PICK_(a, op, b, x, y)                                                              \
	({                                                                                 \
		__typeof__((a) + (b)) x = (a);                                             \
		__typeof__((a) + (b)) y = (b);                                             \
		x op y ? x : y;                                                            \
	})
#define PICK_NAMES_(a, op, b, n) PICK_NAMED_(a, op, b, n)
#define PICK_NAMED_(a, op, b, n) PICK_(a, op, b, left_##n, right_##n)
#define MIN(a, b) PICK_NAMES_(a, <, b, __COUNTER__)
#define MAX(a, b) PICK_NAMES_(a, >, b, __COUNTER__)

/* Straight-line start-up code only: the variable is released when it goes out of scope. */
static inline void
auto_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void
auto_free_ptr(void *p)
{
	free(*(void **)p);
}

#define AUTO_FD __attribute__((cleanup(auto_close_fd)))
#define AUTO_FREE __attribute__((cleanup(auto_free_ptr)))
/* Hands the descriptor (or pointer) on and disarms the clean-up. */
#define TAKE_FD(fd)                                                                        \
	({                                                                                 \
		int take_ = (fd);                                                          \
		(fd) = -1;                                                                 \
		take_;                                                                     \
	})
#define TAKE_PTR(p)                                                                        \
	({                                                                                 \
		__typeof__(p) take_ = (p);                                                 \
		(p) = NULL;                                                                \
		take_;                                                                     \
	})

/* A view of bytes somebody else owns; not NUL-terminated. */
struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})

static inline struct str
str_of(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
