/* Who and what is asked for most, of all workers together, those that are gone included:
 * their tables (common/topk.h) merged so that the bounds stay true (Agarwal and others,
 * Mergeable Summaries, 2012). SPDX-License-Identifier: MIT */
#pragma once

#include "common/seg.h"

#include <jansson.h>

#define TOP_KEPT 1024 /* keys of workers that are gone */
#define TOP_MERGED 4096

struct top_key {
	uint64_t hash;
	uint64_t requests;      /* beyond top_sum.base */
	uint64_t sure;          /* requests that were this key's for certain */
	uint64_t bytes, errors; /* at least */
	uint32_t key_n;
	char key[TOPK_KEY_MAX];
};

/* One list, of several tables. */
struct top_sum {
	struct top_key *v; /* owned; room for 2 * keep */
	uint32_t n, keep;
	uint16_t *slot;    /* owned; by hash: 1 + place in v; 0: empty */
	uint64_t requests; /* of all keys */
	uint64_t base; /* so many any key may have on top; one that is not there, in all */
};

/* Zeroed is a fine start. */
struct top {
	struct top_sum gone[TOPS];
};

void top_finish(struct top *t);
/* Of a worker that was reaped, before its segment is closed. Without memory it is
 * forgotten. */
void top_fold(struct top *t, struct seg *s);
/* For the binary that takes over: what came from workers that are gone. New reference. */
json_t *top_save(const struct top *t);
void top_restore(struct top *t, const json_t *from);

/* false: there is no memory. */
NODISCARD bool top_sum_init(struct top_sum *s, uint32_t keep);
void top_sum_finish(struct top_sum *s);
void top_sum_add(struct top_sum *s, const struct topk_list *l);
/* All of another sum. */
void top_sum_join(struct top_sum *s, const struct top_sum *other);
/* In order, the most requests first. Nothing can be added after. */
void top_sum_sort(struct top_sum *s);
/* Of a key: at most `requests`, of which `error` may be others'. */
void top_sum_count(
    const struct top_sum *s, const struct top_key *k, uint64_t *requests, uint64_t *error);
