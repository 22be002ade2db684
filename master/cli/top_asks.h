/* What `shoalctl top` asks the server for, and what it makes of the answers.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/cli.h"
#include "master/cli/top_model.h"

enum top_ask {
	TOP_ASK_STATUS,
	TOP_ASK_STATS,
	TOP_ASK_REQUESTS,
	TOP_ASK_LIST, /* of the view that is looked at */
	TOP_ASK_COUNTERS,
	TOP_ASK_HEAT,
	TOP_ASK_HISTORY, /* from here on: shown also while the screen is held */
	TOP_ASK_SUBSCRIBE,
	TOP_ASK_TRACE,
	TOP_ASK_RELOAD,
	TOP_ASK_RECYCLE,
	TOP_ASKS
};

struct top_asks {
	struct link *link;        /* borrowed */
	struct top_model *m;      /* borrowed */
	json_int_t ids[TOP_ASKS]; /* of requests under way; 0: none */
	enum top_view view;       /* that TOP_ASK_LIST was asked for */
	int64_t asked_at;
};

/* A connection was made. */
void top_asks_begin(struct top_asks *a);
/* All that the view shows. */
void top_asks_look(struct top_asks *a);
/* Whether all answers to that are here. */
bool top_asks_are_answered(const struct top_asks *a);
void top_asks_trace(struct top_asks *a);
void top_asks_reload(struct top_asks *a);
void top_asks_recycle(struct top_asks *a, unsigned slot);
void top_asks_take(struct top_asks *a, const struct link_msg *m);
