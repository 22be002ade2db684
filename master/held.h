/* Workers' tables of accounts that are in memory alone, because the runtime directory has
 * no room for a file: the master holds them, and hands them to its ledger, until all they
 * have counted is in the database. SPDX-License-Identifier: MIT */
#pragma once

#include "common/acct.h"

#include <jansson.h>

struct held_table {
	struct held_table *next;
	char name[ACCT_FILE_MAX]; /* its file would have */
	int fd;                   /* owned */
	bool told;                /* the present ledger has it */
};

/* Zeroed is a fine start. */
struct held {
	struct held_table *v; /* owned list, the oldest first */
	bool short_of_room;   /* tables do not fit into the directory */
	/* All may be NULL. */
	bool (*hand)(void *ctx, const char *name, int fd); /* false: not now */
	void (*on_full)(void *ctx, const char *why, size_t needed);
	void (*on_room)(void *ctx);
	void *ctx; /* borrowed */
};

void held_finish(struct held *h);
/* A table that found no room; fd stays the caller's. Handed over at once, if possible. */
NODISCARD int held_add(struct held *h, const char *name, int fd, struct err *e);
/* Hands over what the ledger has not got. */
void held_tell(struct held *h);
/* There is another ledger: it has none of them. Returns how many there are. */
size_t held_forget_told(struct held *h);
/* All of it is in the database. */
void held_drop(struct held *h, const char *name);
size_t held_count(const struct held *h);
/* At the end: into files of the directory (-1: there is none), for the next instance.
 * Returns how many of them found no room there, either. */
NODISCARD size_t held_save(struct held *h, int dir_fd);
/* The directory has no room from now on, or has room again; the first time is told. */
void held_set_full(struct held *h, const char *why, size_t needed);
void held_set_room(struct held *h);

/* For the binary that takes over: {"short_of_room":..,"tables":[{"name":..,"fd":..}]}. */
json_t *held_to_json(const struct held *h);
NODISCARD int held_restore(struct held *h, const json_t *from, struct err *e);
