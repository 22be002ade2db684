/* `shoalctl top`: asks again and again, and shows the answers. One connection; when it is
 * lost, a line says so and it is opened anew. SPDX-License-Identifier: MIT */
#include "master/cli/term.h"
#include "master/cli/text.h"
#include "master/cli/top_asks.h"
#include "master/cli/top_screen.h"

#include <poll.h>
#include <stdio.h>

#define OPEN_MS 500
#define RETRY_MS 500
#define SILENT_MS 5000
#define BATCH_WIDTH 160 /* of a frame for a pipe, where COLUMNS says nothing */
#define BATCH_HEIGHT 1200

/* What a yes starts. */
enum order { ORDER_RELOAD, ORDER_RECYCLE };

struct top {
	struct cli *c;
	struct top_asks asks;
	struct top_model m;
	int64_t next_look, delay_ms;
	enum order order;
	unsigned slot; /* to be recycled */
	char *shown;   /* owned; the frame on the screen */
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
look(struct top *t)
{
	top_asks_look(&t->asks);
	t->next_look = link_now() + t->delay_ms;
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

	t->next_look = link_now() + RETRY_MS;
	if (link_open(&t->c->link, link_now() + OPEN_MS, &e) == LINK_OK) {
		top_asks_begin(&t->asks);
		t->next_look = link_now() + t->delay_ms;
	}
}

static void
read_messages(struct top *t)
{
	struct link_msg m;
	enum link_status st;

	while ((st = link_read(&t->c->link, &m, 0)) == LINK_OK) {
		top_asks_take(&t->asks, &m);
		link_msg_finish(&m);
	}
	if (st != LINK_TIMEOUT)
		on_lost(t);
}

/* ---- Keys ---- */

static const struct {
	char key;
	enum top_view view;
} views[] = {
    {'1', TOP_VIEW_WORKERS},
    {'2', TOP_VIEW_ACCOUNTS},
    {'3', TOP_VIEW_ROUTES},
    {'4', TOP_VIEW_CLIENTS},
    {'5', TOP_VIEW_EVENTS},
    {'6', TOP_VIEW_HISTOGRAM},
};

static void
look_at(struct top *t, int key)
{
	for (size_t i = 0; i < ARRAY_LEN(views); i++)
		if (views[i].key == key) {
			top_model_look_at(&t->m, views[i].view);
			t->next_look = 0;
		}
}

static void
ask_to(struct top *t, enum order order)
{
	struct top_model *m = &t->m;
	const struct top_row *w = top_model_selected(m);

	if (t->c->link.fd < 0 || (order == ORDER_RECYCLE && w == NULL))
		return;
	t->order = order;
	if (order == ORDER_RELOAD) {
		snprintf(m->question, sizeof(m->question), "Reload the application of %s?",
		    m->instance);
		return;
	}
	t->slot = w->slot;
	snprintf(m->question, sizeof(m->question), "Replace worker %u (pid %d) of %s?",
	    w->slot, w->pid, m->instance);
}

static bool
is_end(int key)
{
	return key == TERM_INTERRUPT || key == TERM_CLOSED;
}

static void
on_answer(struct top *t, int key)
{
	t->m.question[0] = '\0';
	if (key == 'y' && t->order == ORDER_RELOAD)
		top_asks_reload(&t->asks);
	else if (key == 'y')
		top_asks_recycle(&t->asks, t->slot);
	t->quit = is_end(key);
}

static void
on_filter_key(struct top *t, int key)
{
	struct top_model *m = &t->m;

	if (key == TERM_ESCAPE)
		top_model_drop_filter(m);
	else if (key == TERM_ENTER)
		m->typing = false;
	else if (key == TERM_BACKSPACE)
		top_model_filter(m, '\0');
	else if (key >= 0x20 && key < 0x7f)
		top_model_filter(m, (char)key);
	t->quit = is_end(key);
}

/* Of those that only change what is shown. */
static void
on_look_key(struct top *t, int key)
{
	struct top_model *m = &t->m;

	if (key == 'j' || key == TERM_DOWN)
		top_model_move(m, 1);
	else if (key == 'k' || key == TERM_UP)
		top_model_move(m, -1);
	else if (key == TERM_ESCAPE && m->pane == TOP_PANE_NONE)
		top_model_drop_filter(m);
	else if (key == TERM_ESCAPE)
		top_model_close_pane(m);
	else if (key == '?')
		m->pane = m->pane == TOP_PANE_HELP ? TOP_PANE_NONE : TOP_PANE_HELP;
	else if (key == '/')
		m->typing = true;
	else if (key == 's')
		top_model_sort(m);
	else if (key == 'p')
		m->paused = !m->paused;
	else
		look_at(t, key);
}

static void
on_key(struct top *t, int key)
{
	struct top_model *m = &t->m;

	if (*m->question != '\0') {
		on_answer(t, key);
		return;
	}
	if (m->typing) {
		on_filter_key(t, key);
		return;
	}
	if (t->c->link.fd >= 0)
		m->note[0] = '\0';
	if (key == 'q' || is_end(key))
		t->quit = true;
	else if (key == 't')
		top_asks_trace(&t->asks);
	else if (key == 'r')
		ask_to(t, ORDER_RECYCLE);
	else if (key == 'R')
		ask_to(t, ORDER_RELOAD);
	else
		on_look_key(t, key);
}

/* ---- The screen ---- */

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
		look(t);
	if (t->asks.ids[TOP_ASK_STATUS] != 0 && t->c->link.fd >= 0 &&
	    link_now() - t->asks.asked_at > SILENT_MS)
		snprintf(t->m.note, sizeof(t->m.note), "no answer for %.0f s",
		    (double)(link_now() - t->asks.asked_at) / 1000);
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

/* ---- Without a screen ---- */

static void
print_frame(struct top *t)
{
	const char *columns = getenv("COLUMNS");
	const int width = columns != NULL ? atoi(columns) : 0;
	size_t n;
	AUTO_FREE char *frame = top_screen_draw(
	    &t->m, width > 0 ? (unsigned)width : BATCH_WIDTH, BATCH_HEIGHT, &n);

	if (frame != NULL)
		fprintf(t->c->out.f, "%s\n", frame);
	fflush(t->c->out.f);
}

static void
wait_until(struct top *t, int64_t until, bool for_answers)
{
	while (t->c->link.fd >= 0 && !*t->c->interrupted && link_now() < until &&
	       !(for_answers && top_asks_are_answered(&t->asks))) {
		struct pollfd in = {.fd = t->c->link.fd, .events = POLLIN};

		poll(&in, 1, (int)MIN(until - link_now(), 1000));
		read_messages(t);
	}
}

/* One look is for the totals that the first frame's rates are made from. frames 0: no end.
 */
static int
print_frames(struct top *t, uint64_t frames)
{
	cli_catch_signals(t->c);
	top_asks_begin(&t->asks);
	wait_until(t, cli_reply_deadline(t->c), true);
	for (uint64_t i = 0; (frames == 0 || i < frames) && !*t->c->interrupted; i++) {
		wait_until(t, link_now() + t->delay_ms, false);
		top_asks_look(&t->asks);
		wait_until(t, cli_reply_deadline(t->c), true);
		if (t->c->link.fd < 0) {
			cli_say("the server closed the connection");
			return CLI_FAILED;
		}
		print_frame(t);
	}
	return CLI_OK;
}

/* ---- The verb ---- */

static int
run_on_terminal(struct top *t)
{
	const char *term = getenv("TERM");
	sigset_t while_waiting;
	struct err e = {0};
	int code;

	if (term == NULL || strcmp(term, "dumb") == 0)
		code = err_set(&e, "the terminal cannot place its cursor");
	else
		code = term_enter(&e);
	if (code != 0) {
		cli_say("%s: top needs one; in a pipe use `top --batch`", e.text);
		return CLI_USAGE;
	}
	catch_signals(&while_waiting);
	top_asks_begin(&t->asks);
	t->next_look = link_now() + t->delay_ms;
	loop(t, &while_waiting);
	term_leave();
	return CLI_OK;
}

int
verb_top(struct cli *c, const struct args *a)
{
	struct top *t = calloc(1, sizeof(*t));
	const json_t *delay = args_local(a, "delay");
	const bool once = args_has(a, "once");
	int code = t ? cli_connect(c) : CLI_FAILED;

	if (code == CLI_OK) {
		t->c = c;
		t->asks = (struct top_asks){.link = &c->link, .m = &t->m};
		t->delay_ms = MAX(100, (int64_t)(json_number_value(delay) * 1000));
		t->delay_ms = delay ? t->delay_ms : 1000;
		t->m.colour = c->out.colour;
		t->m.plain = once || args_has(a, "batch") || args_has(a, "count");
		top_model_init(&t->m);
		code = t->m.plain ? print_frames(t, once ? 1
							 : (uint64_t)json_integer_value(
							       args_local(a, "count")))
				  : run_on_terminal(t);
	}
	if (t != NULL) {
		top_model_finish(&t->m);
		free(t->shown);
	}
	free(t);
	return code;
}
