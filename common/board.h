/* What the workers of one instance let each other know: how many connections each has, so
 * that none takes more than its share. Shared memory, a line per process, one writer each;
 * what is read here only ever decides who accepts first. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <stdatomic.h>

#define BOARD_LINES 2048 /* twice the most --workers: old and new beside each other */

struct board_line {
	_Atomic uint32_t accepting;   /* 1 while the worker takes new connections */
	_Atomic uint32_t connections; /* open ones */
};

struct board {
	_Atomic uint32_t used;     /* lines from this one on have never had a worker */
	_Atomic uint32_t draining; /* set by the master: every answer says Connection:
				      close, the health path 503; accepting goes on */
	struct board_line line[BOARD_LINES];
};

/* The master's side: a new memfd (CLOEXEC), mapped. */
NODISCARD struct board *board_create(int *fd, struct err *e);
NODISCARD struct board *board_open(int fd, struct err *e);
void board_close(struct board *b);
/* A worker came or went: its line says nothing any more. */
void board_reset(struct board *b, unsigned line);

/* Whether a worker with `mine` connections has its share of what the accepting ones have
 * together, and some more. One that is alone never has. */
bool board_has_share(const struct board *b, uint32_t mine);
