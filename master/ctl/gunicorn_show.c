/* gunicorn's `show` commands over our processes, with its field names.
 * SPDX-License-Identifier: MIT */
#include "master/clock.h"
#include "master/ctl/gunicorn.h"
#include "master/ctl/server.h"
#include "master/master.h"

/* Its figures have two decimals. */
static json_t *
seconds(double s)
{
	return json_real((double)(int64_t)(s * 100 + 0.5) / 100);
}

static json_t *
heartbeat(const struct proc *p)
{
	uint64_t ns = atomic_load_explicit(&p->seg->heartbeat_ns, memory_order_relaxed);
	int64_t ms = (int64_t)(ns / 1000000);

	if (!p->was_ready || ms == 0)
		return json_null();
	return seconds((double)MAX(clock_ms() - ms, 0) / 1000);
}

/* Its age is the place in the order of starts. */
static json_t *
workers(const struct ctl *c, const char *type)
{
	json_t *list = json_array();

	for (const struct proc *p = c->master->fleet.procs; p != NULL; p = p->next) {
		json_t *v = json_pack("{s:i, s:I, s:b, s:o}", "pid", (int)p->pid, "age",
		    (json_int_t)p->epoch, "booted", p->was_ready, "last_heartbeat",
		    heartbeat(p));

		if (type != NULL)
			json_object_set_new(v, "type", json_string(type));
		else
			json_object_set_new(
			    v, "aborted", json_boolean(p->state == LIFE_STUCK));
		json_array_append_new(list, v);
	}
	return list;
}

json_t *
gunicorn_show_workers(struct ctl *c)
{
	json_t *list = workers(c, NULL);

	return json_pack(
	    "{s:o, s:i}", "workers", list, "count", (int)json_array_size(list));
}

json_t *
gunicorn_show_all(struct ctl *c)
{
	json_t *list = workers(c, "web");

	return json_pack("{s:{s:i, s:s, s:s}, s:o, s:i, s:n, s:[], s:i}", "arbiter", "pid",
	    (int)getpid(), "type", "arbiter", "role", "master", "web_workers", list,
	    "web_worker_count", (int)json_array_size(list), "dirty_arbiter",
	    "dirty_workers", "dirty_worker_count", 0);
}

json_t *
gunicorn_show_config(struct ctl *c)
{
	const struct conf *conf = master_conf(c->master);
	json_t *binds = json_array();
	json_t *v;

	for (size_t i = 0; i < conf->bind.n; i++)
		json_array_append_new(binds, ctl_text(str_of(conf->bind.v[i])));
	v = json_pack("{s:o, s:I, s:s?, s:I, s:f, s:f, s:f}", "bind", binds, "workers",
	    (json_int_t)c->master->fleet.wanted, "worker_class", conf->worker_class,
	    "threads", (json_int_t)conf->threads, "timeout", (double)conf->timeout / 1000,
	    "graceful_timeout", (double)conf->graceful_timeout / 1000, "keepalive",
	    (double)conf->keep_alive / 1000);
	json_object_update_new(v,
	    json_pack("{s:I, s:I, s:I, s:b, s:b, s:s?, s:s, s:b, s:s, s:b}", "max_requests",
		(json_int_t)conf->max_requests, "max_requests_jitter",
		(json_int_t)conf->max_requests_jitter, "worker_connections",
		(json_int_t)conf->worker_connections, "preload_app",
		strcmp(conf->preload, "on") == 0, "daemon", conf->daemon, "pidfile",
		conf->pidfile, "proc_name", conf_instance_name(conf), "reload",
		conf->reload, "control_socket", c->path.path, "control_socket_disable", 0));
	return v;
}

json_t *
gunicorn_show_stats(struct ctl *c)
{
	const struct fleet *f = &c->master->fleet;
	json_int_t spawned = 0, live = 0;

	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			spawned += f->slots[i]->epoch;
	for (const struct proc *p = f->procs; p != NULL; p = p->next)
		live++;
	return json_pack("{s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:n}", "uptime",
	    seconds(ctl_now() - c->master->started), "pid", (int)getpid(),
	    "workers_current", live, "workers_target", (json_int_t)f->wanted,
	    "workers_spawned", spawned, "workers_killed", MAX(spawned - live, 0), "reloads",
	    (json_int_t)f->gen->number - 1, "dirty_arbiter_pid");
}

json_t *
gunicorn_show_listeners(struct ctl *c)
{
	const struct listeners *ls = &c->master->listeners;
	json_t *list = json_array();

	for (size_t i = 0; i < ls->n; i++) {
		const struct listener *l = &ls->v[i];
		const char *type = l->is_unix ? "unix" : l->name[0] == '[' ? "tcp6" : "tcp";

		json_array_append_new(
		    list, json_pack("{s:o, s:i, s:s}", "address", ctl_text(str_of(l->name)),
			      "fd", l->fd, "type", type));
	}
	return json_pack(
	    "{s:o, s:i}", "listeners", list, "count", (int)json_array_size(list));
}

json_t *
gunicorn_show_dirty(struct ctl *c)
{
	(void)c;
	return json_pack("{s:b, s:n, s:[], s:[]}", "enabled", 0, "pid", "workers", "apps");
}
