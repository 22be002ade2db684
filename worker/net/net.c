/* The I/O thread: its loop, its clock, when it sleeps and how it is woken, how it ends.
 * SPDX-License-Identifier: MIT */
#include "worker/net/net.h"

#include "common/conf.h"
#include "common/conf_compat.h"
#include "common/log.h"
#include "worker/logw.h"
#include "worker/net/access_log.h"
#include "worker/net/account.h"
#include "worker/net/conn.h"
#include "worker/net/drain.h"
#include "worker/net/forward.h"
#include "worker/net/gauges.h"
#include "worker/net/inflight.h"
#include "worker/net/listener.h"
#include "worker/net/req_io.h"
#include "worker/net/selfcheck.h"
#include "worker/net/top.h"
#include "worker/worker.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

#define TICK_NS (NET_TICK_MS * 1000000ull)
#define LAG_TICKS 16

uint64_t
net_read_clock(struct net *net)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	net->now_ns = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	return net->now_ns;
}

static void
refresh_wall(struct net *net)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	net->wall_us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 -
		       (int64_t)(net_read_clock(net) / 1000);
}

bool
net_service_ends(const struct net *net)
{
	return net->service_ends ||
	       atomic_load_explicit(&net->board->draining, memory_order_relaxed) != 0;
}

void
net_wake(struct net *net)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so a wake-up is pending already. */
	if (write(net->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* Nothing to do but be awake: net_run() looks at the signals after every turn. The event is
 * edge-triggered, so the descriptor need not be read, and 2^64 wake-ups do not come. */
static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
on_nap_over(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	(void)what;
	net->nap_useless = atomic_load(&net->signalled) == NULL;
}

static void
expire(struct net *net)
{
	const uint64_t now = net_now(net);
	struct timer *t;

	for (int kind = 1; kind < TIMER_APP; kind++)
		while ((t = timer_pop_expired(&net->timers[kind], now)) != NULL)
			conn_timeout(CONTAINER_OF(t, struct conn, timer), kind);
	for (int kind = TIMER_APP; kind < TIMER_ACK_SOON; kind++)
		while ((t = timer_pop_expired(&net->timers[kind], now)) != NULL)
			req_timeout(CONTAINER_OF(t, struct req, timer), kind);
	for (int kind = TIMER_ACK_SOON; kind < TIMER_PACE; kind++)
		while ((t = timer_pop_expired(&net->timers[kind], now)) != NULL)
			delivery_timeout(
			    CONTAINER_OF(t, struct conn, delivery.timer), kind);
	while ((t = timer_pop_expired(&net->timers[TIMER_PACE], now)) != NULL)
		pace_timeout(CONTAINER_OF(t, struct conn, pace.timer));
}

/* libevent's own rule for a late tick: the next one is due an interval after this one was,
 * or from now on when that is over as well. */
static void
measure_lag(struct net *net)
{
	const uint64_t now = net->now_ns;
	uint64_t late = 0;

	if (now > net->tick_due_ns)
		late = now - net->tick_due_ns;
	net->lag_ns = MAX(net->lag_ns, late);
	seg_count_duration(net->seg, DURATION_loop_lag, late);
	net->tick_due_ns += TICK_NS;
	if (net->tick_due_ns < now)
		net->tick_due_ns = now + TICK_NS;
	stat_set(net->seg, STAT_loop_lag_us, MAX(net->lag_ns, net->lag_before_ns) / 1000);
	if (++net->lag_ticks == LAG_TICKS) {
		net->lag_ticks = 0;
		net->lag_before_ns = net->lag_ns;
		net->lag_ns = 0;
	}
}

static void
publish_errors(struct seg *seg, const struct app_counts *app)
{
	const uint64_t call = app->errors[APP_CALL], iterate = app->errors[APP_ITERATE],
		       close = app->errors[APP_CLOSE];

	stat_set(seg, STAT_app_errors, call + iterate + close);
	stat_set(seg, STAT_call_errors, call);
	stat_set(seg, STAT_iterate_errors, iterate);
	stat_set(seg, STAT_close_errors, close);
}

static void
publish_times(struct net *net)
{
	struct app_times t;

	net->ops->times(net_now(net), &t);
	stat_set(net->seg, STAT_threads, t.threads);
	stat_set(net->seg, STAT_busy_us, t.busy_ns / 1000);
	stat_set(net->seg, STAT_idle_us, t.idle_ns / 1000);
	stat_set(net->seg, STAT_gil_wait_us, t.gil_wait_ns / 1000);
}

static void
publish_gauges(struct net *net)
{
	const struct app_counts *app = net->ops->counts;
	struct seg *seg = net->seg;

	atomic_store_explicit(&net->seg->heartbeat_ns, net_now(net), memory_order_relaxed);
	stat_set(seg, STAT_access_log_dropped, logw_dropped(LOGW_ACCESS));
	stat_set(seg, STAT_error_log_dropped, logw_dropped(LOGW_ERROR));
	gauges_publish(net);
	if (net->ops->times != NULL)
		publish_times(net);
	if (app == NULL)
		return;
	publish_errors(seg, app);
	stat_set(seg, STAT_hooks_run, app->hooks_run);
	stat_set(seg, STAT_hook_errors, app->hook_errors);
	stat_set(seg, STAT_late_accounts, app->late_accounts);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct net *net = arg;

	(void)fd;
	(void)what;
	refresh_wall(net);
	account_tick(net);
	measure_lag(net);
	publish_gauges(net);
	inflight_tell(net);
	net->accept_paused = false;
	/* The worker that should take the next connection may be stuck: nobody waits for it
	 * longer than a tick. */
	net->share_waived = true;
	expire(net);
	drain_tick(net);
}

static void
timers_configure(struct net *net)
{
	const struct conf *c = net->conf;
	const struct {
		enum timer_kind kind;
		int64_t ms;
	} after[] = {
	    {TIMER_HANDSHAKE, c->tls_handshake_timeout},
	    {TIMER_HEAD, c->head_timeout},
	    {TIMER_KEEPALIVE, c->keep_alive},
	    {TIMER_BODY, c->body_timeout},
	    {TIMER_WRITE, c->write_timeout},
	    {TIMER_LINGER, c->linger_timeout},
	    {TIMER_DISCARD, 1000},
	    {TIMER_APP, c->timeout},
	    {TIMER_ACK_SOON, 50},
	    {TIMER_ACK_LATER, 1000},
	    {TIMER_ACK_LAST, 5000},
	    {TIMER_PACE, PACE_MS},
	};

	timerq_init(net->timers);
	for (size_t i = 0; i < ARRAY_LEN(after); i++)
		net->timers[after[i].kind].after_ns = (uint64_t)after[i].ms * 1000000u;
}

static void
limits_configure(struct net *net)
{
	const struct conf *c = net->conf;
	const bool green = conf_compat_green(c) != NULL;

	net->capacity = (size_t)(green ? c->worker_connections : c->threads);
	net->limits = (struct head_limits){
	    .line = c->limit_request_line > 0 ? (uint32_t)c->limit_request_line : 65535,
	    .fields = (uint32_t)MIN(c->limit_request_fields, (int64_t)HEAD_FIELDS_MAX),
	    .field_size = c->limit_request_field_size > 0
			      ? (uint32_t)c->limit_request_field_size
			      : 65535,
	    .total = (uint32_t)c->limit_request_head,
	    .keep_underscores = strcmp(c->header_map, "dangerous") == 0,
	    .refuse_underscores = strcmp(c->header_map, "refuse") == 0,
	};
}

static int
loop_configure(struct net *net, struct err *e)
{
	const struct timeval tick = {.tv_usec = NET_TICK_MS * 1000};
	struct event_config *cfg = event_config_new();

	if (cfg == NULL)
		return err_set(e, "event loop: out of memory");
	/* One thread owns the loop, and it never forks: no locks, no re-initialising. */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	net->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (net->base == NULL)
		return err_errno(e, "event loop");
	event_assign(&net->wake_ev, net->base, net->wake_fd, EV_READ | EV_ET | EV_PERSIST,
	    on_wake, net);
	event_assign(&net->nap_ev, net->base, -1, 0, on_nap_over, net);
	event_assign(&net->tick_ev, net->base, -1, EV_PERSIST, on_tick, net);
	event_add(&net->wake_ev, NULL);
	event_add(&net->tick_ev, &tick);
	net->tick_due_ns = net_read_clock(net) + TICK_NS;
	return 0;
}

static void
publish_certificate(struct net *net)
{
	struct seg_certificate *c = &net->seg->certificate;
	int64_t end = tls_context_certificate(net->tls, c->name, sizeof(c->name));

	atomic_store_explicit(&c->not_after, end, memory_order_release);
}

int
net_init(struct net *net, struct worker *w, const struct app_ops *ops, struct err *e)
{
	memset(net, 0, sizeof(*net));
	net->worker = w;
	net->conf = &w->heritage.conf;
	net->seg = w->seg;
	net->board = w->board;
	net->quota = w->quota.head ? &w->quota : NULL;
	net->ops = ops;
	net->held = w->heritage.parked != 0;
	net->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (net->wake_fd < 0)
		return err_errno(e, "eventfd");
	timers_configure(net);
	limits_configure(net);
	inflight_init(net);
	if (account_init(net, e) < 0 || top_init(net, e) < 0)
		return -1;
	if (forward_init(net->conf->forwarded_allow_ips, e) < 0)
		return -1;
	if (net->conf->access_logfile != NULL) {
		net->access = access_format_create(
		    net->conf->access_logformat, net->conf->log_x_forwarded_for, e);
		if (net->access == NULL)
			return -1;
		net->log_acked = access_format_waits(net->access);
	}
	if (net->conf->certfile != NULL) {
		net->tls = tls_context_create(net->conf, w->heritage.ticket_key, e);
		if (net->tls == NULL)
			return -1;
		publish_certificate(net);
	}
	if (loop_configure(net, e) < 0)
		return -1;
	refresh_wall(net);
	req_attach(net);
	return listeners_open(net, e);
}

void
net_finish(struct net *net)
{
	listeners_close(net);
	free(net->listeners);
	selfchecks_finish(net);
	conns_free_doomed(net);
	req_pool_free(net);
	while (net->free_buffers != NULL) {
		void *b = net->free_buffers;

		net->free_buffers = *(void **)b;
		free(b);
	}
	access_format_destroy(net->access);
	tls_context_destroy(net->tls);
	if (net->base != NULL)
		event_base_free(net->base);
	close(net->wake_fd);
}

/* Before the loop waits: how deep may it sleep? While application threads have work, what
 * they finish is picked up at latest a millisecond later, so that they need not wake us for
 * every short request (a wake-up costs more than the request); when a nap brought nothing
 * the calls are long ones, and then every signal wakes. */
static void
prepare_sleep(struct net *net)
{
	static const struct timeval nap = {.tv_usec = 1000};
	const bool busy = net->with_app > net->parked;

	if (net->started_some)
		net->nap_useless = false;
	net->started_some = false;
	if (busy && !net->nap_useless) {
		atomic_store(&net->io_state, IO_NAPPING);
		if (!event_pending(&net->nap_ev, EV_TIMEOUT, NULL))
			event_add(&net->nap_ev, &nap);
	} else {
		atomic_store(&net->io_state, IO_SLEEPING);
	}
}

void
net_run(struct net *net)
{
	while (!net->quit) {
		do {
			net->ops->flush();
			conns_free_doomed(net);
			listeners_gate(net);
			drain_check(net);
			prepare_sleep(net);
			/* A signal set before the state was visible must not be slept over.
			 */
		} while (req_drain_signals(net) || net->doomed != NULL);
		if (net->quit)
			break;
		net->now_ns = 0;
		event_base_loop(net->base, EVLOOP_ONCE);
		net->now_ns = 0;
		atomic_store_explicit(&net->io_state, IO_RUNNING, memory_order_relaxed);
		req_drain_signals(net);
	}
	/* What came since the last tick. */
	publish_gauges(net);
}
