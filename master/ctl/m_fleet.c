/* workers.scale, recycle, pause, resume, kill: what is done to workers.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/chores.h"
#include "master/ctl/ctl.h"
#include "master/master.h"

#include <signal.h>
#include <string.h>

int
ctl_workers_scale(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	struct master *m = call->master;
	int64_t target = ctl_param_int(call, "target", 0);
	const char *busy;
	struct job *j;

	if (ctl_has_param(call, "target") == ctl_has_param(call, "delta"))
		return ctl_fail(call, CTL_E_INVALID_PARAMS,
		    json_pack(
			"{s:s, s:s}", "param", "target", "expected", "target or delta"),
		    "expected either target or delta");
	if (ctl_has_param(call, "delta"))
		target = (int64_t)m->fleet.wanted + ctl_param_int(call, "delta", 0);
	if (target < 1 || target > FLEET_MAX)
		return ctl_fail(call, CTL_E_INVALID_PARAMS,
		    json_pack("{s:s, s:s}", "param",
			ctl_has_param(call, "delta") ? "delta" : "target", "expected",
			"1 to 1024 workers"),
		    "%lld workers: expected 1 to %d", (long long)target, FLEET_MAX);
	j = chores_scale(
	    m, (unsigned)target, ctl_param_str(call, "token", NULL), &by, &busy);
	return ctl_reply_job(call, j, busy);
}

static int
no_such_slot(struct ctl_call *call, int64_t slot)
{
	return ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:I}", "what", (json_int_t)slot),
	    "no worker in slot %lld", (long long)slot);
}

int
ctl_workers_recycle(struct ctl_call *call)
{
	const struct job_by by = ctl_by(call);
	struct master *m = call->master;
	const json_t *list = json_object_get(call->params, "slots"), *v;
	unsigned slots[FLEET_MAX];
	size_t n = 0, i;
	const char *busy;
	struct job *j;

	json_array_foreach((json_t *)list, i, v)
	{
		if (json_integer_value(v) >= m->fleet.wanted)
			return no_such_slot(call, json_integer_value(v));
		if (n < FLEET_MAX)
			slots[n++] = (unsigned)json_integer_value(v);
	}
	for (unsigned s = 0; list == NULL && s < m->fleet.wanted; s++)
		slots[n++] = s;
	j = chores_recycle(m, slots, n, ctl_param_ms(call, "drain_timeout_s", -1),
	    ctl_param_str(call, "token", NULL), &by, &busy);
	return ctl_reply_job(call, j, busy);
}

/* The process that serves in the slot of the call; NULL: the call was answered. */
static struct proc *
serving(struct ctl_call *call)
{
	int64_t slot = ctl_param_int(call, "slot", 0);
	struct slot *s =
	    slot >= 0 && slot < FLEET_MAX ? call->master->fleet.slots[slot] : NULL;

	if (s != NULL && s->serving != NULL)
		return s->serving;
	no_such_slot(call, slot);
	return NULL;
}

int
ctl_workers_pause(struct ctl_call *call)
{
	struct proc *p = serving(call);

	if (p == NULL)
		return 0;
	if (!life_accepts(p->state))
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", life_name(p->state)), "worker %u is %s",
		    p->slot, life_name(p->state));
	proc_park(p, false);
	return ctl_reply(call, json_pack("{s:s}", "state", life_name(p->state)));
}

int
ctl_workers_resume(struct ctl_call *call)
{
	struct proc *p = serving(call);

	if (p == NULL)
		return 0;
	if (p->state != LIFE_PARKED)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", life_name(p->state)),
		    "worker %u is %s, not parked", p->slot, life_name(p->state));
	proc_resume(p);
	return ctl_reply(call, json_pack("{s:s}", "state", life_name(p->state)));
}

static const struct {
	const char *name;
	int signo;
} signals[] = {
    {"TERM", SIGTERM},
    {"INT", SIGINT},
    {"QUIT", SIGQUIT},
    {"ABRT", SIGABRT},
    {"KILL", SIGKILL},
    {"SEGV", SIGSEGV},
    {"STOP", SIGSTOP},
    {"CONT", SIGCONT},
};

/* Its end, if that comes of it, is no crash of the application's. */
static void
signal_by_hand(struct proc *p, int signo)
{
	if (signo != SIGSTOP && signo != SIGCONT && p->state < LIFE_DRAINING)
		p->reason = PROC_KILLED;
	proc_signal(p, signo);
}

int
ctl_workers_kill(struct ctl_call *call)
{
	const char *name = ctl_param_str(call, "signal", "TERM");
	struct proc *p = serving(call);

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (strcmp(signals[i].name, name) == 0)
			signal_by_hand(p, signals[i].signo);
	log_warn("ctl", "signal sent to worker", "slot=%u pid=%d signal=%s by=%s", p->slot,
	    (int)p->pid, name, call->peer.comm);
	return ctl_reply(call, json_pack("{s:i}", "pid", (int)p->pid));
}
