/* logs.reopen, level and subscribe. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/master.h"
#include "master/mold.h"

#include <event2/event.h>

int
ctl_logs_reopen(struct ctl_call *call)
{
	struct err e;

	if (master_renew_logs(call->master, &e) < 0)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:o}", "why", ctl_text(str_of(e.text))), "%s", e.text);
	return ctl_reply(
	    call, json_pack("{s:[s, s], s:i}", "reopened", "access", "error", "workers",
		      (int)fleet_count_ready(&call->master->fleet)));
}

static void
set_level(struct master *m, enum log_level level)
{
	uint32_t payload = (uint32_t)level;

	log_set_level(level);
	/* One that does not listen keeps its level: it has other troubles. */
	for (struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		if (p->channel >= 0)
			(void)!proc_tell(p, MSG_LEVEL, &payload, sizeof(payload));
	for (struct mold *mold = m->fleet.molds; mold != NULL; mold = mold->next)
		if (mold->channel >= 0)
			(void)!msg_send(
			    mold->channel, MSG_LEVEL, &payload, sizeof(payload), NULL, 0);
	log_info("control", "log level", "level=%s", log_level_name(level));
	events_emit(
	    &m->events, "log.level", json_pack("{s:s}", "level", log_level_name(level)));
}

static void
on_level_over(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;
	(void)fd, (void)what;

	set_level(c->master, c->level_before);
}

int
ctl_logs_level(struct ctl_call *call)
{
	struct ctl *c = call->ctl;
	int level = log_level_parse(ctl_param_str(call, "level", ""));
	int64_t ttl = ctl_param_ms(call, "ttl_s", 0);
	struct timeval tv = {ttl / 1000, ttl % 1000 * 1000};
	enum log_level was = log_get_level();

	if (c->level_timer == NULL)
		c->level_timer = evtimer_new(c->master->base, on_level_over, c);
	if (c->level_timer == NULL)
		return ctl_fail(call, CTL_E_INTERNAL, NULL, "out of memory");
	/* A second one in the time of a first reverts to what was before both. */
	if (!evtimer_pending(c->level_timer, NULL))
		c->level_before = was;
	evtimer_del(c->level_timer);
	set_level(c->master, (enum log_level)level);
	if (ttl > 0)
		evtimer_add(c->level_timer, &tv);
	return ctl_reply(
	    call, json_pack("{s:s, s:s, s:f}", "was", log_level_name(was), "level",
		      log_level_name((enum log_level)level), "ttl_s", (double)ttl / 1000));
}

int
ctl_logs_subscribe(struct ctl_call *call)
{
	int min = log_level_parse(ctl_param_str(call, "min_level", "debug"));

	return ctl_sub_logs(
	    call, (enum log_level)min, (unsigned)ctl_param_int(call, "tail", 0));
}
