/* How long the application may take for a request, and what happens when it takes longer.
 * SPDX-License-Identifier: MIT */
#include "common/conf.h"
#include "common/heritage.h"
#include "common/log.h"
#include "common/msg.h"
#include "worker/net/req_io.h"

#include <stdio.h>

#define TARGET_SHOWN 200

/* --timeout bounds the time in which the application shows no sign of life; waiting for its
 * client (to send body, to take output) is not its time. A deadline of the request's own is
 * a moment that nothing moves. Work for a client that has its answer already, or is gone,
 * is bounded by the time it had left. */
void
req_time_app(struct req *r)
{
	struct timerq *timers = r->net->timers;
	uint64_t own;

	if (!r->with_app || r->finished || r->overdue)
		return;
	own = atomic_load_explicit(&r->deadline_ns, memory_order_relaxed);
	if (UNLIKELY(own == REQ_NEVER))
		timer_clear(&r->timer);
	else if (UNLIKELY(own != 0))
		timer_set_at(timers, &r->timer, TIMER_DEADLINE, own);
	else if (r->pull_wanted || r->reader_waits)
		timer_clear(&r->timer);
	else if ((!r->taken_over && r->outcome == REQ_OPEN) || r->timer.kind == TIMER_NONE)
		timer_set(timers, &r->timer, TIMER_APP, net_now(r->net));
}

/* Cut for display; log.h escapes, the other end of the channel is told printable bytes. */
static size_t
describe(const struct req *r, char *buf, size_t cap)
{
	struct str method = span_str(r->base, r->head.method);
	struct str target = span_str(r->base, r->head.target);
	int n = snprintf(buf, cap, "%.*s %.*s", (int)MIN(method.n, (size_t)32), method.p,
	    (int)MIN(target.n, (size_t)TARGET_SHOWN), target.p);
	size_t len = n < 0 ? 0 : MIN((size_t)n, cap - 1);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)buf[i] < 0x20 || (unsigned char)buf[i] > 0x7e)
			buf[i] = '?';
	return len;
}

static void
report_stuck(const struct req *r)
{
	char line[TARGET_SHOWN + 64];
	size_t n = describe(r, line, sizeof(line));

	log_error("app", "request is stuck", "request=\"%s\" grace_ms=%lld", line,
	    (long long)r->net->conf->stuck_grace);
	if (msg_send(HERITAGE_CHANNEL_FD, MSG_STUCK, line, n, NULL, 0) < 0)
		log_warn("worker", "the master did not hear of a stuck request", NULL);
}

/* Parked, or in the middle of a body that does not come: the answer wakes it. */
static void
report_waiting(const struct req *r)
{
	char line[TARGET_SHOWN + 64];

	describe(r, line, sizeof(line));
	log_error(
	    "app", "request timed out while its client was slow", "request=\"%s\"", line);
}

static void
pass_deadline(struct req *r)
{
	struct net *net = r->net;
	const bool waits = r->pull_wanted || r->reader_waits;
	const uint64_t grace_ns = (uint64_t)net->conf->stuck_grace * 1000000u;

	if (atomic_load(&r->signals) & SIG_FINISH)
		return; /* just in time: the end is told, and not yet heard */
	r->overdue = true;
	stat_add(net->seg, STAT_timeouts, 1);
	if (r->conn != NULL && !r->taken_over)
		conn_refuse(r->conn, 504, "the application took too long", REQ_TIMED_OUT);
	if (waits)
		report_waiting(r);
	else if (!net->ops->overdue(r))
		return;
	timer_set_at(net->timers, &r->timer, TIMER_STUCK, net_now(net) + grace_ns);
}

void
req_timeout(struct req *r, enum timer_kind kind)
{
	if (kind == TIMER_STUCK)
		report_stuck(r);
	else
		pass_deadline(r);
}
