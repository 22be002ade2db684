/* What `shoalctl top` knows: filled in from replies and events, drawn by top_screen.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/sample.h"
#include "master/cli/top_rows.h"

#define TOP_REQUESTS_MAX 100
#define TOP_EVENTS_MAX 100
#define TOP_HEAT_ROWS 96

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

/* How long the requests of the last minute took. */
struct top_heat {
	double counts[TOP_HEAT_ROWS]; /* row i: up to 2^((first + i) / 2) s */
	int first;
	unsigned n;
	double p50_us, p99_us,
	    p999_us; /* of the last ten seconds with requests; -1: none */
};

/* Strings are as they came: they are cleaned when they are drawn. */
struct top_model {
	char instance[64], state[32], path[108];
	double generation, uptime_s, target, ready, booting, draining;
	struct sample then, now; /* two looks at the counters */
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
	struct top_table tables[TOP_VIEWS]; /* of the views that are tables */
	char notes[TOP_VIEWS][160];         /* why a view has nothing */
	int sort[TOP_VIEWS];                /* column; -1: as it came */
	char filter[64];
	bool typing;        /* the filter */
	unsigned first_row; /* the first that is shown, of a list or of the events */
	struct top_heat heat;
	bool paused, colour;
	bool plain;         /* frames are lines of text, for a pipe */
	char note[256];     /* on the last line, in place of the keys */
	char question[128]; /* the same, and waits for y or n */
};

void top_model_init(struct top_model *m);
void top_model_finish(struct top_model *m);
/* Each takes a reply's result, or an event's params. */
void top_model_hello(struct top_model *m, const json_t *r);
void top_model_status(struct top_model *m, const json_t *r);
void top_model_requests(struct top_model *m, const json_t *r);
void top_model_stats(struct top_model *m, const json_t *r);
void top_model_event(struct top_model *m, const json_t *params);
void top_model_heat(struct top_model *m, const json_t *r);
/* The table of a view. now: seconds of a steady clock, for the rates. */
void top_model_list(struct top_model *m, enum top_view v, const json_t *r, double now);
/* The workers' counters. */
void top_model_counters(struct top_model *m, const json_t *r, double now);
/* A sentence why a view has nothing. */
void top_model_refuse(struct top_model *m, enum top_view v, const char *why);
/* The next column to sort by, behind the last one: as it came. */
void top_model_sort(struct top_model *m);
/* A character more; 0: the last one goes. */
void top_model_filter(struct top_model *m, char c);
void top_model_drop_filter(struct top_model *m);
/* The events that contain the filter; at most `max`, the newest; oldest first. */
size_t top_model_events(
    const struct top_model *m, size_t max, const struct top_event *events[]);
void top_model_look_at(struct top_model *m, enum top_view v);
/* Opens the pane; text is taken over (NULL: nothing is opened). */
void top_model_show(struct top_model *m, const char *title, char *text);
void top_model_close_pane(struct top_model *m);
/* The worker before or behind the selected one; with a pane: its text moves. */
void top_model_move(struct top_model *m, int by);
/* Where it stands in the table of workers; its successor when it is gone, 0 when nobody
 * follows. */
size_t top_model_index(const struct top_model *m);
/* NULL: there is none. */
const struct top_row *top_model_selected(const struct top_model *m);
