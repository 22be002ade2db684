/* `shoalctl top`: asks again and again, and shows the answers. One connection; when it is
 * lost, a line says so and it is opened anew. SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"
#include "master/cli/term.h"
#include "master/cli/text.h"
#include "master/cli/top_screen.h"
#include "master/cli/trace.h"

#include <poll.h>
#include <stdio.h>

#define OPEN_MS 500
#define RETRY_MS 500
#define EVENTS_FIRST 50
#define SILENT_MS 5000

enum ask {
	ASK_STATUS,
	ASK_WORKERS,
	ASK_STATS,
	ASK_REQUESTS,
	ASK_ACCOUNTS,
	ASK_ROUTES,
	ASK_HISTORY,
	ASK_SUBSCRIBE,
	ASK_TRACE,
	ASK_RELOAD,
	ASKS
};

struct top {
	struct cli *c;
	struct top_model m;
	json_int_t ids[ASKS]; /* of requests under way; 0: none */
	int64_t next_look, asked_at, delay_ms;
	char *shown; /* owned; the frame on the screen */
	unsigned width, height;
	bool quit;
};

static volatile sig_atomic_t got_winch, got_end, got_stop;

static void
on_signal(int signo)
{
	if (signo == SIGWINCH)
		got_winch = 1;
	else if (signo == SIGTSTP)
		got_stop = 1;
	else
		got_end = 1;
}

/* They are delivered only while we wait in ppoll(): no signal falls between two looks. */
static void
catch_signals(sigset_t *while_waiting)
{
	static const int signals[] = {SIGWINCH, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct sigaction sa = {.sa_handler = on_signal};
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
		sigaddset(&block, signals[i]);
		sigaction(signals[i], &sa, NULL);
	}
	sigprocmask(SIG_BLOCK, &block, while_waiting);
}

static void
ask(struct top *t, enum ask what, const char *method, json_t *params)
{
	if (t->ids[what] == 0)
		t->ids[what] = link_send(&t->c->link, method, params);
	json_decref(params);
}

static void
ask_again(struct top *t)
{
	if (t->ids[ASK_STATUS] == 0)
		t->asked_at = link_now();
	ask(t, ASK_STATUS, "server.status", NULL);
	ask(t, ASK_WORKERS, "workers.list", NULL);
	ask(t, ASK_STATS, "stats.get",
	    json_pack("{s:[s,s,s]}", "select", "totals", "latency", "status"));
	ask(t, ASK_REQUESTS, "requests.inflight",
	    json_pack("{s:i}", "limit", TOP_REQUESTS_MAX));
	if (t->m.view == TOP_VIEW_ACCOUNTS)
		ask(t, ASK_ACCOUNTS, "accounts.list", NULL);
	else if (t->m.view == TOP_VIEW_ROUTES)
		ask(t, ASK_ROUTES, "routes.list", NULL);
	t->next_look = link_now() + t->delay_ms;
}

static void
on_connected(struct top *t)
{
	memset(t->ids, 0, sizeof(t->ids));
	t->m.note[0] = '\0';
	t->m.seq = 0;
	t->m.n_events = 0;
	snprintf(t->m.path, sizeof(t->m.path), "%s", t->c->link.path);
	top_model_hello(&t->m, t->c->link.hello);
	ask(t, ASK_HISTORY, "events.history", json_pack("{s:i}", "limit", EVENTS_FIRST));
	ask(t, ASK_SUBSCRIBE, "events.subscribe", NULL);
	ask_again(t);
}

static void
on_lost(struct top *t)
{
	link_close(&t->c->link);
	snprintf(t->m.note, sizeof(t->m.note), "connection lost, trying again: %s",
	    t->c->link.path);
	snprintf(t->m.state, sizeof(t->m.state), "?");
	t->m.question[0] = '\0';
	t->next_look = link_now() + RETRY_MS;
}

static void
reconnect(struct top *t)
{
	struct err e;

	if (link_open(&t->c->link, link_now() + OPEN_MS, &e) == LINK_OK)
		on_connected(t);
	else
		t->next_look = link_now() + RETRY_MS;
}

static enum top_view
view_of(enum ask what)
{
	return what == ASK_ACCOUNTS ? TOP_VIEW_ACCOUNTS : TOP_VIEW_ROUTES;
}

static void
on_error(struct top *t, enum ask what, const json_t *error)
{
	const char *message = value_string(error, "message", "refused");
	const char *kind = value_string(error, "data.kind", "");

	if (strcmp(kind, "permission_denied") == 0 && what < ASK_HISTORY)
		message = "shown to the role operator and above";
	if (what == ASK_REQUESTS) {
		t->m.n_requests = 0;
		snprintf(t->m.requests_note, sizeof(t->m.requests_note), "%s", message);
	} else if (what == ASK_ACCOUNTS || what == ASK_ROUTES) {
		top_model_list(&t->m, view_of(what), NULL, message);
	} else if (what == ASK_TRACE || what == ASK_RELOAD) {
		snprintf(t->m.note, sizeof(t->m.note), "%s: %s",
		    what == ASK_TRACE ? "trace" : "reload", message);
	}
}

static void
on_result(struct top *t, enum ask what, json_t *r)
{
	struct top_model *m = &t->m;
	char title[128];
	size_t i;
	json_t *ev;

	if (what == ASK_STATUS) {
		top_model_status(m, r);
	} else if (what == ASK_WORKERS) {
		top_model_workers(m, r, (double)link_now() / 1000);
	} else if (what == ASK_STATS) {
		top_model_stats(m, r);
	} else if (what == ASK_REQUESTS) {
		top_model_requests(m, r);
	} else if (what == ASK_ACCOUNTS || what == ASK_ROUTES) {
		top_model_list(m, view_of(what), r, "");
	} else if (what == ASK_HISTORY) {
		json_array_foreach(value_at(r, "events"), i, ev)
		{
			top_model_event(m, ev);
		}
	} else if (what == ASK_TRACE) {
		snprintf(
		    title, sizeof(title), " STACKS of worker %u (Esc closes)", m->selected);
		top_model_show(m, title, trace_text(r));
	} else if (what == ASK_RELOAD) {
		snprintf(m->note, sizeof(m->note), "reload %s started",
		    value_string(r, "job", ""));
	}
}

/* A reload that failed says why where it is seen. */
static void
show_failure(struct top *t, const json_t *params)
{
	const char *type = value_string(params, "type", "");
	const json_t *data = value_at(params, "data");
	const char *trace = value_string(
	    data, "traceback", value_string(data, "exception.traceback", NULL));
	char *text = NULL;

	if (strcmp(type, "reload.failed") != 0 && strcmp(type, "reload.rolled_back") != 0)
		return;
	if (asprintf(&text, "%s\n%s",
		value_string(data, "why", value_string(data, "exception.message", "")),
		trace ? trace : "") < 0)
		text = NULL;
	top_model_show(&t->m, " RELOAD FAILED (Esc closes)", text);
}

static void
on_message(struct top *t, const struct link_msg *m)
{
	json_int_t id = link_msg_id(m);

	if (id == 0 && link_msg_params(m) != NULL) {
		top_model_event(&t->m, link_msg_params(m));
		if (strncmp(t->m.note, "reload", 6) == 0)
			t->m.note[0] = '\0';
		show_failure(t, link_msg_params(m));
		return;
	}
	for (unsigned i = 0; i < ASKS; i++) {
		if (id == 0 || t->ids[i] != id)
			continue;
		t->ids[i] = 0;
		/* Held: what was asked for by a key is shown all the same. */
		if (link_msg_error(m) != NULL)
			on_error(t, (enum ask)i, link_msg_error(m));
		else if (!t->m.paused || i >= ASK_HISTORY)
			on_result(t, (enum ask)i, link_msg_result(m));
	}
}

static void
read_messages(struct top *t)
{
	struct link_msg m;
	enum link_status st;

	while ((st = link_read(&t->c->link, &m, 0)) == LINK_OK) {
		on_message(t, &m);
		link_msg_finish(&m);
	}
	if (st != LINK_TIMEOUT)
		on_lost(t);
}

static void
ask_trace(struct top *t)
{
	const struct top_worker *w = top_model_selected(&t->m);

	if (w == NULL)
		return;
	t->m.selected = w->slot;
	t->m.selected_pid = w->pid;
	ask(t, ASK_TRACE, "workers.trace", json_pack("{s:i}", "slot", (int)w->slot));
}

static void
look_at(struct top *t, enum top_view v)
{
	top_model_look_at(&t->m, v);
	t->next_look = 0;
}

static void
on_key(struct top *t, int key)
{
	struct top_model *m = &t->m;

	if (*m->question != '\0') {
		m->question[0] = '\0';
		if (key == 'y')
			ask(t, ASK_RELOAD, "reload.start", NULL);
		t->quit = key == TERM_INTERRUPT || key == TERM_CLOSED;
		return;
	}
	if (t->c->link.fd >= 0)
		m->note[0] = '\0';
	if (key == 'q' || key == TERM_INTERRUPT || key == TERM_CLOSED)
		t->quit = true;
	else if (key == 'j' || key == TERM_DOWN)
		top_model_move(m, 1);
	else if (key == 'k' || key == TERM_UP)
		top_model_move(m, -1);
	else if (key == TERM_ESCAPE)
		top_model_close_pane(m);
	else if (key == '?')
		m->pane = m->pane == TOP_PANE_HELP ? TOP_PANE_NONE : TOP_PANE_HELP;
	else if (key >= '1' && key < '1' + TOP_VIEWS)
		look_at(t, (enum top_view)(key - '1'));
	else if (key == 'p')
		m->paused = !m->paused;
	else if (key == 't')
		ask_trace(t);
	else if (key == 'r' && t->c->link.fd >= 0)
		snprintf(m->question, sizeof(m->question), "Reload the application of %s?",
		    m->instance);
}

static void
draw(struct top *t)
{
	size_t n;
	char *frame;

	term_size(&t->width, &t->height);
	frame = top_screen_draw(&t->m, t->width, t->height, &n);
	if (frame != NULL && (t->shown == NULL || strcmp(frame, t->shown) != 0))
		term_write(frame, n);
	free(t->shown);
	t->shown = frame;
}

static void
on_stop_signal(struct top *t)
{
	struct err e;

	got_stop = 0;
	term_leave();
	raise(SIGSTOP);
	t->quit = term_enter(&e) != 0;
	free(t->shown);
	t->shown = NULL;
}

static void
tick(struct top *t)
{
	if (got_winch) {
		got_winch = 0;
		free(t->shown);
		t->shown = NULL;
	}
	if (got_stop)
		on_stop_signal(t);
	if (link_now() >= t->next_look && t->c->link.fd < 0)
		reconnect(t);
	else if (link_now() >= t->next_look)
		ask_again(t);
	if (t->ids[ASK_STATUS] != 0 && t->c->link.fd >= 0 &&
	    link_now() - t->asked_at > SILENT_MS)
		snprintf(t->m.note, sizeof(t->m.note), "no answer for %.0f s",
		    (double)(link_now() - t->asked_at) / 1000);
}

static void
loop(struct top *t, const sigset_t *while_waiting)
{
	while (!t->quit && !got_end) {
		struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
		    {.fd = t->c->link.fd, .events = POLLIN}};
		int64_t left = MAX(0, t->next_look - link_now());
		struct timespec wait = {
		    .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		int key;

		draw(t);
		ppoll(fds, 2, &wait, while_waiting);
		while (!t->quit && (key = term_key()) != TERM_NONE)
			on_key(t, key);
		if (t->c->link.fd >= 0)
			read_messages(t);
		tick(t);
	}
}

int
verb_top(struct cli *c, const struct args *a)
{
	struct top *t = calloc(1, sizeof(*t));
	const json_t *delay = args_local(a, "delay");
	const char *term = getenv("TERM");
	struct err e = {0};
	sigset_t while_waiting;
	int code = t ? cli_connect(c) : CLI_FAILED;

	if (code == CLI_OK) {
		t->c = c;
		t->delay_ms = MAX(100, (int64_t)(json_number_value(delay) * 1000));
		t->delay_ms = delay ? t->delay_ms : 1000;
		t->m.colour = c->out.colour;
		if (term == NULL || strcmp(term, "dumb") == 0)
			code = err_set(&e, "the terminal cannot place its cursor");
		else
			code = term_enter(&e);
		if (code != 0) {
			cli_say(
			    "%s: top needs one; in a pipe use `workers` or `stats -w 1`",
			    e.text);
			code = CLI_USAGE;
		}
	}
	if (code == CLI_OK) {
		catch_signals(&while_waiting);
		on_connected(t);
		loop(t, &while_waiting);
		term_leave();
	}
	if (t != NULL) {
		top_model_finish(&t->m);
		free(t->shown);
	}
	free(t);
	return code;
}
