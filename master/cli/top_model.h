/* What `shoalctl top` knows: filled in from replies and events, drawn by top_screen.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/sample.h"

#define TOP_WORKERS_MAX 1024
#define TOP_REQUESTS_MAX 100
#define TOP_EVENTS_MAX 100

struct top_worker {
	unsigned slot, generation;
	int pid;
	char state[16];
	double age_s, in_flight, connections, rss_bytes, restarts;
	double requests, cpu_s; /* totals; what rates are made from */
	double seen;            /* seconds of a steady clock when these were read */
	double rate, cpu;       /* per second; part of one processor; -1: not known yet */
};

struct top_request {
	double worker, age_s;
	char phase[16], method[16], path[256], client[64];
};

struct top_event {
	double t;
	char type[48], text[400];
};

enum top_pane {
	TOP_PANE_NONE, /* requests and events are shown */
	TOP_PANE_TEXT, /* m->text: a stack, a failure */
	TOP_PANE_HELP,
};

/* What the upper table shows: keys 1, 2, 3. */
enum top_view { TOP_VIEW_WORKERS, TOP_VIEW_ACCOUNTS, TOP_VIEW_ROUTES, TOP_VIEWS };

/* Strings are as they came: they are cleaned when they are drawn. */
struct top_model {
	char instance[64], state[32], path[108];
	double generation, uptime_s, target, ready, booting, draining;
	struct sample then, now; /* two looks at the counters */
	struct top_worker workers[TOP_WORKERS_MAX];
	size_t n_workers;
	/* While one process follows another, two have the same slot. */
	unsigned selected; /* slot */
	int selected_pid;  /* 0: whoever is in the slot */
	struct top_request requests[TOP_REQUESTS_MAX];
	size_t n_requests;
	char requests_note[160];                 /* why there are none */
	struct top_event events[TOP_EVENTS_MAX]; /* oldest first */
	size_t n_events;
	int64_t seq; /* of the newest event */
	enum top_pane pane;
	char title[128]; /* of the pane */
	char *text;      /* owned; lines */
	unsigned scroll; /* lines of the pane above its first */
	enum top_view view;
	json_t *lists[TOP_VIEWS]; /* owned; the last replies, NULL: none; not workers */
	char list_notes[TOP_VIEWS][160]; /* why there is none */
	unsigned first_row;              /* of the list: the first that is shown */
	bool paused, colour;
	char note[256];     /* on the last line, in place of the keys */
	char question[128]; /* the same, and waits for y or n */
};

void top_model_finish(struct top_model *m);
/* Each takes a reply's result, or an event's params. */
void top_model_hello(struct top_model *m, const json_t *r);
void top_model_status(struct top_model *m, const json_t *r);
/* now: seconds of a steady clock, for the rates. */
void top_model_workers(struct top_model *m, const json_t *r, double now);
void top_model_requests(struct top_model *m, const json_t *r);
void top_model_stats(struct top_model *m, const json_t *r);
void top_model_event(struct top_model *m, const json_t *params);
/* A reply, or a sentence why there is none (r NULL). */
void top_model_list(struct top_model *m, enum top_view v, json_t *r, const char *why);
/* Its rows; NULL: none. */
const json_t *top_model_rows(const struct top_model *m);
void top_model_look_at(struct top_model *m, enum top_view v);
/* Opens the pane; text is taken over (NULL: nothing is opened). */
void top_model_show(struct top_model *m, const char *title, char *text);
void top_model_close_pane(struct top_model *m);
/* The worker before or behind the selected one; with a pane: its text moves. */
void top_model_move(struct top_model *m, int by);
/* Where it stands in `workers`; its successor when it is gone, 0 when nobody follows. */
size_t top_model_index(const struct top_model *m);
/* NULL: there is none. */
const struct top_worker *top_model_selected(const struct top_model *m);
