/* server.hello, ping, version, status and health. SPDX-License-Identifier: MIT */
#include "master/ctl/facts.h"

#include "common/build.h"
#include "master/chores.h"
#include "master/ctl/server.h"
#include "master/master.h"
#include "master/procfs.h"

#include <event2/event.h>
#include <fcntl.h>
#include <time.h>

static double
boot_time_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)(now.tv_nsec / 1000) / 1e6;
}

/* Tells a client after a reconnect whether it is still the same machine's run. */
static json_t *
boot_id(void)
{
	char text[64] = "";
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
		text[strcspn(text, "\n")] = '\0';
	return json_string(text);
}

static json_t *
features(void)
{
	return json_pack("[s, s]", "gunicorn-frames", "tls");
}

int
ctl_server_hello(struct ctl_call *call)
{
	const struct conf *conf = &call->master->heritage.conf;
	json_t *v;

	if (ctl_param_int(call, "api", CTL_API) != CTL_API ||
	    ctl_param_int(call, "min_minor", 0) > CTL_MINOR)
		return ctl_fail(call, CTL_E_UNSUPPORTED,
		    json_pack("{s:s, s:i, s:i}", "feature", "api", "api", CTL_API, "minor",
			CTL_MINOR),
		    "this server speaks version %d.%d of the protocol", CTL_API, CTL_MINOR);
	v = json_pack("{s:s, s:s, s:i, s:i, s:s, s:i, s:o, s:i, s:s}", "name", "shoal",
	    "version", SHOAL_VERSION, "api", CTL_API, "minor", CTL_MINOR, "instance",
	    conf_instance_name(conf), "pid", (int)getpid(), "boot_id", boot_id(),
	    "generation", (int)call->master->fleet.gen->number, "role",
	    ctl_role_name(call->conn->peer.role));
	json_object_set_new(v, "peer",
	    json_pack("{s:I, s:I, s:I}", "uid", (json_int_t)call->peer.uid, "gid",
		(json_int_t)call->peer.gid, "pid", (json_int_t)call->peer.pid));
	json_object_set_new(v, "limits",
	    json_pack("{s:i, s:i, s:i, s:i}", "line_bytes", CTL_LINE_MAX, "reply_bytes",
		CTL_REPLY_MAX, "in_flight", CTL_IN_FLIGHT_MAX, "subscriptions",
		CTL_SUBS_MAX));
	json_object_set_new(v, "features", features());
	return ctl_reply(call, v);
}

int
ctl_server_ping(struct ctl_call *call)
{
	return ctl_reply(
	    call, json_pack("{s:f, s:f}", "t", ctl_now(), "mono", boot_time_s()));
}

int
ctl_server_version(struct ctl_call *call)
{
	const struct python *python = &call->master->python;

	return ctl_reply(call,
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "version",
		SHOAL_VERSION, "commit", build_commit, "built", build_date, "python",
		python->version, "interpreter", python->executable, "python_launch",
		python->libpython[0] ? "embed" : "exec", "libevent", event_get_version(),
		"openssl", build_openssl, "jansson", jansson_version_str(), "sqlite",
		build_sqlite, "features", features()));
}

static const char *
state_name(const struct master *m)
{
	if (m->stopping)
		return "stopping";
	if (chores_draining(m))
		return "draining";
	return m->up ? "running" : "starting";
}

static json_t *
workers_json(const struct master *m)
{
	const struct fleet *f = &m->fleet;

	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "target",
	    (int)f->wanted, "ready", (int)fleet_count_ready(f), "booting",
	    (int)fleet_count(f, LIFE_BOOTING), "draining",
	    (int)fleet_count(f, LIFE_DRAINING), "parked", (int)fleet_count(f, LIFE_PARKED),
	    "stuck", (int)fleet_count(f, LIFE_STUCK), "busy",
	    (int)fleet_count(f, LIFE_BUSY), "failed", (int)facts_missing(m));
}

static json_t *
last_reload(const struct jobs *js)
{
	for (size_t i = js->n; i-- > 0;) {
		const struct job *j = js->v[i];

		if (j->kind != JOB_RELOAD && j->kind != JOB_ROLLBACK)
			continue;
		return json_pack("{s:s, s:s, s:f, s:f}", "job", j->id, "state",
		    job_state_name(j->state), "at", j->started, "took_s",
		    (j->ended > 0 ? j->ended : ctl_now()) - j->started);
	}
	return json_null();
}

int
ctl_server_status(struct ctl_call *call)
{
	struct master *m = call->master;
	struct jobs *js = &m->jobs;
	json_t *v =
	    json_pack("{s:s, s:b, s:i, s:s, s:f, s:f}", "state", state_name(m), "ready",
		m->up && !m->stopping && !chores_draining(m) &&
		    fleet_count_ready(&m->fleet) > 0,
		"generation", (int)m->fleet.gen->number, "version", SHOAL_VERSION,
		"started", m->started, "uptime_s", ctl_now() - m->started);

	json_object_set_new(v, "instance", json_string(conf_instance_name(master_conf(m))));
	json_object_set_new(v, "master",
	    json_pack("{s:i, s:I, s:i, s:f, s:i}", "pid", (int)getpid(), "rss_bytes",
		(json_int_t)procfs_rss(getpid()), "fds", procfs_fds(getpid()),
		"loop_lag_p99_s", ctl_lag_p99_s(call->ctl), "connections",
		(int)call->ctl->n_conns));
	json_object_set_new(v, "workers", workers_json(m));
	json_object_set_new(v, "listeners", json_integer((json_int_t)m->listeners.n));
	json_object_set_new(v, "last_reload", last_reload(js));
	json_object_set_new(v, "totals", facts_totals(m));
	json_object_set_new(v, "rates_10s", facts_rates_10s(m));
	json_object_set_new(v, "alerts", facts_alerts(m));
	json_object_set_new(
	    v, "job", jobs_running(js) ? json_string(jobs_running(js)->id) : json_null());
	return ctl_reply(call, v);
}

int
ctl_server_health(struct ctl_call *call)
{
	const struct master *m = call->master;
	const char *why = NULL;

	if (strcmp(ctl_param_str(call, "probe", "ready"), "live") != 0) {
		if (m->stopping)
			why = "stopping";
		else if (!m->up)
			why = "starting";
		else if (chores_draining(m))
			why = "draining";
		else if (fleet_count_ready(&m->fleet) == 0)
			why = "no_worker";
	}
	if (why != NULL)
		return ctl_fail(call, CTL_E_FAILED_PRECONDITION,
		    json_pack("{s:[s]}", "why", why), "not ready: %s", why);
	return ctl_reply(call, json_pack("{s:b}", "ok", 1));
}
