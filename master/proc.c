/* A worker process: its life carried out, its orders, its end. SPDX-License-Identifier: MIT
 */
#include "master/proc.h"

#include "common/board.h"
#include "common/log.h"
#include "common/msg.h"
#include "master/clock.h"
#include "master/fleet.h"
#include "master/report.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>

#define EXIT_MS 1000 /* between the order to end and SIGKILL; after the end of a drain */

static const char *const reason_names[PROC_REASONS] = {
    [PROC_CRASHED] = "crashed",
    [PROC_FAILED] = "failed",
    [PROC_STOPPED] = "stopped",
    [PROC_RELOADED] = "reloaded",
    [PROC_ROLLED_BACK] = "rolled_back",
    [PROC_SCALED_DOWN] = "scaled_down",
    [PROC_RECYCLED] = "recycled",
    [PROC_MAX_REQUESTS] = "max_requests",
    [PROC_MAX_AGE] = "max_age",
    [PROC_MAX_RSS] = "max_rss",
    [PROC_WAS_STUCK] = "stuck",
    [PROC_KILLED] = "killed",
};

const char *
proc_reason_name(enum proc_reason r)
{
	return reason_names[r];
}

int64_t
proc_age_ms(const struct proc *p)
{
	return clock_ms() - p->born_ms;
}

static void
timer_set(struct proc *p, int64_t ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	evtimer_add(p->timer, &tv);
}

void
proc_signal(struct proc *p, int signo)
{
	if (p->reaped)
		return;
	if (p->pid > 0)
		kill(p->pid, signo);
	else
		p->kill_signal = signo;
}

void
proc_set_pid(struct proc *p, pid_t pid)
{
	if (p->pid > 0)
		return;
	p->pid = pid;
	if (p->state == LIFE_BOOTING)
		proc_time_load(p);
	if (p->kill_signal != 0)
		kill(pid, p->kill_signal);
}

int
proc_tell(struct proc *p, int type, const void *payload, size_t n)
{
	if (p->channel < 0)
		return -1;
	return msg_send(p->channel, (enum msg_type)type, payload, n, NULL, 0);
}

/* A worker that cannot be told gets the signal that means the same. */
static void
order(struct proc *p, int type, const void *payload, size_t n)
{
	if (proc_tell(p, type, payload, n) < 0)
		proc_signal(p, SIGTERM);
}

static void
act_ready(struct proc *p)
{
	p->ready_ms = p->since_ms;
	p->was_ready = true;
	fleet_proc_ready(p->fleet, p);
}

static void
act_failed(struct proc *p)
{
	p->failed = true;
	p->reason = PROC_FAILED;
	fleet_proc_failed(p->fleet, p);
}

static void
act_tell_park(struct proc *p)
{
	uint32_t announce = p->announce;

	order(p, MSG_PARK, &announce, sizeof(announce));
}

static void
act_tell_resume(struct proc *p)
{
	order(p, MSG_RESUME, NULL, 0);
}

static void
act_tell_drain(struct proc *p)
{
	struct msg_drain drain = {p->graceful_ms, p->idle_ms, p->accept_rest};

	order(p, MSG_DRAIN, &drain, sizeof(drain));
}

static void
act_tell_quit(struct proc *p)
{
	order(p, MSG_QUIT, NULL, 0);
}

static void
act_term(struct proc *p)
{
	proc_signal(p, SIGTERM);
}

static void
act_abort(struct proc *p)
{
	log_error("master", "worker does not answer, it is ended", "slot=%u pid=%d",
	    p->slot, (int)p->pid);
	p->reason = PROC_WAS_STUCK;
	proc_signal(p, SIGABRT);
}

static void
act_kill(struct proc *p)
{
	log_warn("master", "worker killed, it did not end in time", "slot=%u pid=%d",
	    p->slot, (int)p->pid);
	proc_signal(p, SIGKILL);
}

static void
act_timer_off(struct proc *p)
{
	evtimer_del(p->timer);
}

static void
act_timer_drain(struct proc *p)
{
	timer_set(p, (int64_t)p->graceful_ms + EXIT_MS);
}

static void
act_timer_exit(struct proc *p)
{
	timer_set(p, EXIT_MS);
}

static void
act_expected(struct proc *p)
{
	p->expected = true;
}

static void
act_unexpected(struct proc *p)
{
	p->expected = false;
}

static void
act_replace(struct proc *p)
{
	fleet_proc_stuck(p->fleet, p);
}

/* In the order they are carried out: what calls others comes last. LIFE_GONE is
 * proc_reap's.
 */
static const struct {
	enum life_action bit;
	void (*act)(struct proc *p);
} actions[] = {
    {LIFE_EXPECTED, act_expected},
    {LIFE_UNEXPECTED, act_unexpected},
    {LIFE_TIMER_OFF, act_timer_off},
    {LIFE_TIMER_DRAIN, act_timer_drain},
    {LIFE_TIMER_EXIT, act_timer_exit},
    {LIFE_TELL_PARK, act_tell_park},
    {LIFE_TELL_RESUME, act_tell_resume},
    {LIFE_TELL_DRAIN, act_tell_drain},
    {LIFE_TELL_QUIT, act_tell_quit},
    {LIFE_SIGNAL_TERM, act_term},
    {LIFE_SIGNAL_ABORT, act_abort},
    {LIFE_SIGNAL_KILL, act_kill},
    {LIFE_NOTIFY_READY, act_ready},
    {LIFE_NOTIFY_FAILED, act_failed},
    {LIFE_REPLACE, act_replace},
};

void
proc_event(struct proc *p, enum life_event event)
{
	struct life_step step = life_step(p->state, event);

	if (step.next != p->state)
		p->since_ms = clock_ms();
	p->state = (enum life_state)step.next;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (step.actions & actions[i].bit)
			actions[i].act(p);
}

void
proc_drain(struct proc *p, enum proc_reason why, int64_t graceful_ms, int64_t idle_ms)
{
	if (p->state >= LIFE_DRAINING)
		return;
	p->reason = why;
	p->graceful_ms = (uint32_t)MIN(graceful_ms, (int64_t)UINT32_MAX);
	p->idle_ms = (uint32_t)MIN(idle_ms, (int64_t)UINT32_MAX);
	proc_event(p, LIFE_EV_DRAIN);
}

void
proc_end(struct proc *p, enum proc_reason why)
{
	if (p->state >= LIFE_EXITING)
		return;
	p->reason = why;
	proc_event(p, LIFE_EV_QUIT);
}

void
proc_park(struct proc *p, bool announce)
{
	p->announce = announce;
	proc_event(p, LIFE_EV_PARK);
}

void
proc_resume(struct proc *p)
{
	proc_event(p, LIFE_EV_RESUME);
}

/* Ended while it loaded, and without a word. */
static void
fail_mute(struct proc *p, const char *cause)
{
	char text[192];
	int n = snprintf(text, sizeof(text),
	    "worker %u ended while it loaded the application: %s\n", p->slot, cause);

	p->failure = (struct str){text, (size_t)n};
	act_failed(p);
}

void
proc_reap(struct proc *p, int status)
{
	struct report r = {
	    .slot = p->slot, .pid = p->pid, .status = status, .life_ms = proc_age_ms(p)};
	bool at_once;
	char cause[64];

	p->reaped = true;
	proc_channel_drain(p);
	proc_channel_close(p);
	acct_replay(&p->accounts.acct);
	accounts_look(p->fleet->accounts, &p->accounts);
	at_once = p->state == LIFE_EXITING;
	/* A drain that ends any other way than with 0 has lost requests. */
	r.expected = p->failed || (p->expected && (at_once || status == 0));
	report_cause(status, cause, sizeof(cause));
	report_exit(&r, p->seg);
	if (!p->was_ready && !p->failed && !p->expected)
		fail_mute(p, cause);
	proc_event(p, LIFE_EV_EXITED);
	tally_exit(&p->fleet->tally, p->reason, status);
	fleet_proc_gone(p->fleet, p, cause, r.life_ms);
	proc_destroy(p);
}

void
proc_destroy(struct proc *p)
{
	struct fleet *f = p->fleet;

	for (struct proc **at = &f->procs; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	proc_channel_close(p);
	if (p->timer != NULL)
		event_free(p->timer);
	board_reset(f->board, p->line);
	f->lines[p->line] = false;
	seg_close(p->seg);
	if (p->pid == 0 && p->accounts.acct.head != NULL) /* it never came to life */
		acct_replay(&p->accounts.acct);
	accounts_table_close(&p->accounts);
	if (p->seg_fd >= 0)
		close(p->seg_fd);
	if (p->trace_fd >= 0)
		close(p->trace_fd);
	if (p->accounts_fd >= 0)
		close(p->accounts_fd);
	generation_unref(p->gen);
	free(p);
}
