/* The control server: comes up, listens, tells subscribers and waiters, goes down.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/ctl/server.h"
#include "master/master.h"

#include <event2/event.h>
#include <time.h>

#define TICK_US 1000000
#define LOG_LINES_PER_SECOND 10

int64_t
ctl_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
ctl_now_ms(void)
{
	return ctl_now_us() / 1000;
}

bool
ctl_may_log(struct ctl *c)
{
	int64_t now = ctl_now_ms();

	if (now - c->quiet_ms >= 1000) {
		c->quiet_ms = now;
		c->quiet_n = 0;
	}
	return c->quiet_n++ < LOG_LINES_PER_SECOND;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

double
ctl_lag_p99_s(const struct ctl *c)
{
	size_t n = MIN(c->n_ticks, (unsigned)CTL_LAGS);
	uint32_t v[CTL_LAGS];

	if (n == 0)
		return 0;
	memcpy(v, c->lags_us, n * sizeof(v[0]));
	qsort(v, n, sizeof(v[0]), compare);
	return v[n * 99 / 100] / 1e6;
}

/* How late the loop comes to it is what a client waits, too. */
static void
measure_lag(struct ctl *c)
{
	int64_t now = ctl_now_us();
	int64_t late = MAX(now - c->tick_due_us, 0);

	selfcount_loop_lag(&c->master->self, late);
	c->lags_us[c->n_ticks++ % CTL_LAGS] = (uint32_t)MIN(late, UINT32_MAX);
	c->tick_due_us += TICK_US;
	if (c->tick_due_us < now)
		c->tick_due_us = now + TICK_US;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct ctl *c = arg;
	int64_t now = ctl_now_ms();
	struct ctl_conn *next;
	(void)fd, (void)what;

	measure_lag(c);
	for (struct ctl_conn *conn = c->conns; conn != NULL; conn = next) {
		next = conn->next;
		ctl_conn_tick(conn, now);
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	ctl_conn_accept(arg);
}

static void
on_event(void *ctx, const struct event_record *r)
{
	struct ctl *c = ctx;
	(void)r;

	for (struct ctl_conn *conn = c->conns; conn != NULL; conn = conn->next)
		if (conn->subs != NULL && !conn->broken)
			ctl_subs_pump(conn);
}

/* NULL: who runs it tells of it. */
static const char *
job_event(const struct job *j)
{
	if (j->kind != JOB_RELOAD && j->kind != JOB_ROLLBACK)
		return "job.changed";
	return job_is_final(j) ? NULL : "reload.step";
}

static void
on_job(void *ctx, const struct job *j)
{
	struct ctl *c = ctx;
	const char *type = job_event(j);

	if (type != NULL)
		events_emit(&c->master->events, type, job_to_event(j));
	ctl_calls_job_changed(c, j);
}

static int
open_events(struct ctl *c, struct err *e)
{
	struct timeval second = {1, 0};
	struct event_base *base = c->master->base;

	c->on_accept = event_new(base, c->path.fd, EV_READ | EV_PERSIST, on_accept, c);
	c->on_tick = event_new(base, -1, EV_PERSIST, on_tick, c);
	c->tick_due_us = ctl_now_us() + TICK_US;
	if (c->on_accept == NULL || c->on_tick == NULL ||
	    event_add(c->on_accept, NULL) < 0 || event_add(c->on_tick, &second) < 0 ||
	    ctl_logtap_open(&c->logtap, c) < 0)
		return err_set(e, "the control socket cannot be watched");
	return 0;
}

static int
open_path(struct ctl *c, const struct conf *conf, struct err *e)
{
	const json_t *left = json_object_get(c->master->adopted, "control");
	int rc;

	if (left != NULL)
		return ctl_path_adopt(&c->path, left, e);
	rc = ctl_path_open(&c->path, conf->control_socket, conf_instance_name(conf),
	    (mode_t)conf->control_socket_mode, e);

	if (rc == 1)
		log_info("control", "control socket off; signals still work",
		    "reason=\"%s\"", e->text);
	return rc;
}

int
ctl_open(struct ctl **to, struct master *m, struct err *e)
{
	const struct conf *conf = &m->heritage.conf;
	struct ctl *c;
	int rc;

	*to = NULL;
	if (conf->no_control_socket)
		return 0;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return err_set(e, "out of memory");
	c->master = m;
	c->path.fd = -1;
	rc = ctl_roles_parse(&c->roles, &conf->control_role, e);
	if (rc == 0)
		rc = open_path(c, conf, e);
	if (rc == 0)
		rc = open_events(c, e);
	if (rc != 0) {
		ctl_close(c);
		return rc < 0 ? -1 : 0;
	}
	m->events.on_event = on_event;
	m->jobs.on_change = on_job;
	m->events.ctx = m->jobs.ctx = c;
	log_info("control", "listening", "path=%s", c->path.path);
	*to = c;
	return 0;
}

json_t *
ctl_to_json(const struct ctl *c)
{
	json_t *v = c != NULL ? json_object() : NULL;

	if (v == NULL || fields_write(v, &c->path, ctl_path_fields, CTL_PATH_FIELDS) == 0)
		return v;
	json_decref(v);
	return NULL;
}

int
ctl_each_fd(const struct ctl *c, int (*change)(int fd))
{
	const struct ctl_path *p = c != NULL ? &c->path : NULL;

	return p == NULL ? 0 : change(p->fd) | change(p->lock_fd) | change(p->dir_fd);
}

void
ctl_close(struct ctl *c)
{
	struct event *const events[] = {
	    c ? c->on_accept : NULL, c ? c->on_tick : NULL, c ? c->level_timer : NULL};

	if (c == NULL)
		return;
	c->master->events.on_event = NULL;
	c->master->jobs.on_change = NULL;
	ctl_logtap_close(&c->logtap);
	while (c->conns != NULL)
		ctl_conn_destroy(c->conns);
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	ctl_path_close(&c->path);
	free(c->event_text);
	free(c);
}
