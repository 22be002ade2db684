/* One client of the control socket: bytes in, bytes out, and every limit on them.
 * A connection is freed only by its own callbacks, by the tick and at the end; whoever else
 * finds it beyond help marks it. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"

#include "master/master.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define IN_CAP_FIRST 4096
#define IN_CAP_MAX (CTL_LINE_MAX + 65536)
#define FIRST_BYTE_MS 10000
#define IDLE_MS 300000
#define DRAIN_MS 30000
#define SUBSCRIBER_MS 60000
#define CLOSE_MS 1000

size_t
ctl_conn_pending(const struct ctl_conn *conn)
{
	return conn->out_n - conn->out_used;
}

/* In the next round of the loop, after everybody else's turn. */
static void
go_on(struct ctl_conn *conn)
{
	static const struct timeval now = {0, 0};

	event_add(conn->again, &now);
}

static void
mark_broken(struct ctl_conn *conn)
{
	conn->broken = true;
	go_on(conn);
}

static void
shut_when_done(struct ctl_conn *conn)
{
	if (conn->closing && ctl_conn_pending(conn) == 0)
		shutdown(conn->fd, SHUT_WR);
}

/* What the kernel takes; the rest waits for on_write. */
static void
flush(struct ctl_conn *conn)
{
	while (ctl_conn_pending(conn) > 0) {
		ssize_t n = send(conn->fd, conn->out + conn->out_used,
		    ctl_conn_pending(conn), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			ctl_conn_want_write(conn);
			return;
		}
		if (n < 0) {
			mark_broken(conn);
			return;
		}
		conn->out_used += (size_t)n;
		conn->progress_ms = ctl_now_ms();
	}
	free(conn->out);
	conn->out = NULL;
	conn->out_n = conn->out_used = conn->out_cap = 0;
	shut_when_done(conn);
}

static int
reserve_out(struct ctl_conn *conn, size_t more)
{
	size_t cap = MAX(conn->out_cap, 4096);
	char *p;

	if (conn->out_used > 0) {
		memmove(conn->out, conn->out + conn->out_used, ctl_conn_pending(conn));
		conn->out_n -= conn->out_used;
		conn->out_used = 0;
	}
	if (conn->out_n + more > CTL_OUT_MAX)
		return -1;
	while (cap < conn->out_n + more)
		cap *= 2;
	if (cap == conn->out_cap)
		return 0;
	p = realloc(conn->out, cap);
	if (p == NULL)
		return -1;
	conn->out = p;
	conn->out_cap = cap;
	return 0;
}

void
ctl_conn_send(struct ctl_conn *conn, const char *p, size_t n)
{
	bool idle = ctl_conn_pending(conn) == 0;

	if (conn->broken)
		return;
	if (conn->out_cap - conn->out_n < n && reserve_out(conn, n) < 0) {
		mark_broken(conn);
		return;
	}
	memcpy(conn->out + conn->out_n, p, n);
	conn->out_n += n;
	if (idle) {
		conn->progress_ms = ctl_now_ms();
		flush(conn);
	}
}

void
ctl_conn_want_write(struct ctl_conn *conn)
{
	event_add(conn->on_write, NULL);
}

void
ctl_conn_end(struct ctl_conn *conn)
{
	conn->closing = true;
	conn->closing_ms = ctl_now_ms();
	conn->in_n = conn->in_used = conn->in_seen = 0;
	shut_when_done(conn);
}

void
ctl_conn_resume(struct ctl_conn *conn)
{
	if (!conn->paused || conn->in_flight >= CTL_IN_FLIGHT_MAX ||
	    ctl_conn_pending(conn) >= CTL_OUT_HIGH)
		return;
	conn->paused = false;
	if (!conn->eof)
		event_add(conn->on_read, NULL);
	go_on(conn);
}

/* Whether something can still happen on it. */
static bool
is_over(const struct ctl_conn *conn)
{
	if (conn->broken)
		return true;
	return conn->eof && !conn->paused && conn->in_flight == 0 && conn->subs == NULL &&
	       ctl_conn_pending(conn) == 0 && conn->in_used == conn->in_n;
}

static unsigned *
counter(struct ctl *c, bool attached)
{
	return attached ? &c->n_attached : &c->n_conns;
}

void
ctl_conn_destroy(struct ctl_conn *conn)
{
	struct event *const events[] = {conn->on_read, conn->on_write, conn->again};
	struct ctl_conn **at = &conn->ctl->conns;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
	*counter(conn->ctl, conn->attached) -= 1;
	conn->broken = true;
	ctl_calls_forget(conn->ctl, conn);
	ctl_subs_finish(conn);
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	close(conn->fd);
	free(conn->in);
	free(conn->out);
	free(conn);
}

static int
reserve_in(struct ctl_conn *conn)
{
	size_t cap = conn->in_cap ? conn->in_cap : IN_CAP_FIRST;
	char *p;

	if (conn->in_used > 0) {
		memmove(conn->in, conn->in + conn->in_used, conn->in_n - conn->in_used);
		conn->in_n -= conn->in_used;
		conn->in_seen -= conn->in_used;
		conn->in_used = 0;
	}
	if (conn->in_n < conn->in_cap)
		return 0;
	if (conn->in_cap > 0)
		cap = MIN(cap * 2, IN_CAP_MAX);
	if (cap == conn->in_cap)
		return 0; /* full: its lines are looked at first */
	p = realloc(conn->in, cap);
	if (p == NULL)
		return -1;
	conn->in = p;
	conn->in_cap = cap;
	return 0;
}

/* One read; more comes with the next round of the loop. */
static void
fill(struct ctl_conn *conn)
{
	ssize_t n;

	if (conn->eof || conn->paused)
		return;
	if (reserve_in(conn) < 0) {
		conn->broken = true;
		return;
	}
	if (conn->in_n == conn->in_cap)
		return;
	n = recv(conn->fd, conn->in + conn->in_n, conn->in_cap - conn->in_n, MSG_DONTWAIT);
	if (n > 0) {
		conn->in_n += (size_t)n;
	} else if (n == 0) {
		conn->eof = true;
		event_del(conn->on_read);
		if (conn->closing)
			conn->broken = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		conn->broken = true;
	}
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_conn *conn = arg;
	(void)fd, (void)what;

	if (!conn->broken)
		fill(conn);
	if (!conn->broken && ctl_input_take(conn))
		go_on(conn);
	if (conn->paused && !conn->eof)
		event_del(conn->on_read);
	if (is_over(conn))
		ctl_conn_destroy(conn);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct ctl_conn *conn = arg;
	(void)fd, (void)what;

	flush(conn);
	if (!conn->broken)
		ctl_subs_pump(conn);
	ctl_conn_resume(conn);
	if (is_over(conn))
		ctl_conn_destroy(conn);
}

static bool
is_late(const struct ctl_conn *conn, int64_t now)
{
	struct pollfd p = {.fd = conn->fd};

	if (ctl_conn_pending(conn) > 0)
		return now - conn->progress_ms > (conn->subs ? SUBSCRIBER_MS : DRAIN_MS);
	if (conn->closing)
		return now - conn->closing_ms >= CLOSE_MS;
	if (conn->lasting)
		return false;
	if (conn->dialect == CTL_UNKNOWN)
		return now - conn->born_ms > FIRST_BYTE_MS;
	/* It reads what it subscribed to; when it is gone altogether, only a look tells. */
	if (conn->eof)
		return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
	return conn->subs == NULL && conn->in_flight == 0 && now - conn->heard_ms > IDLE_MS;
}

void
ctl_conn_tick(struct ctl_conn *conn, int64_t now_ms)
{
	if (conn->broken || is_late(conn, now_ms))
		ctl_conn_destroy(conn);
}

/* A place for it, or the reason there is none. */
static const char *
refusal(const struct ctl *c, const struct ctl_peer *peer)
{
	bool own = peer->uid == 0 || peer->uid == geteuid();

	if (c->n_conns >= CTL_CONNS_MAX - (own ? 0u : (unsigned)CTL_CONNS_RESERVED))
		return "too many connections; try again in a second";
	return NULL;
}

static void
refuse(int fd, const char *why)
{
	char rest[4096];
	AUTO_FREE char *line = ctl_error_line(
	    NULL, CTL_E_OVERLOADED, json_pack("{s:i}", "retry_ms", 1000), why);

	if (line != NULL)
		(void)!send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	/* What is left unread would turn the end into a reset, and hide the reason. */
	(void)!recv(fd, rest, sizeof(rest), MSG_DONTWAIT);
	shutdown(fd, SHUT_RDWR);
	close(fd);
}

static struct ctl_conn *
adopt(struct ctl *c, int fd, const struct ctl_peer *peer, bool attached)
{
	struct ctl_conn *conn = calloc(1, sizeof(*conn));

	if (conn == NULL) {
		close(fd);
		return NULL;
	}
	conn->ctl = c;
	conn->fd = fd;
	conn->peer = *peer;
	conn->born_ms = conn->heard_ms = conn->progress_ms = ctl_now_ms();
	conn->on_read = event_new(c->master->base, fd, EV_READ | EV_PERSIST, on_read, conn);
	conn->on_write = event_new(c->master->base, fd, EV_WRITE, on_write, conn);
	conn->again = evtimer_new(c->master->base, on_read, conn);
	conn->next = c->conns;
	c->conns = conn;
	conn->attached = attached;
	*counter(c, attached) += 1;
	if (conn->on_read == NULL || conn->on_write == NULL || conn->again == NULL ||
	    event_add(conn->on_read, NULL) < 0)
		conn->broken = true; /* the tick frees it */
	return conn;
}

int
ctl_attach(struct ctl *c, int fd, const struct ctl_peer *peer, bool lasting)
{
	struct ctl_conn *conn = NULL;

	if (lasting || c->n_attached < CTL_ATTACHED_MAX)
		conn = adopt(c, fd, peer, true);
	else
		close(fd);
	if (conn == NULL)
		return -1;
	conn->lasting = lasting;
	return 0;
}

void
ctl_conn_accept(struct ctl *c)
{
	/* A bounded number: others wait for the loop, too. */
	for (int i = 0; i < 16; i++) {
		int fd = accept4(c->path.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		struct ctl_peer peer;
		const char *why;

		if (fd < 0)
			return;
		if (ctl_peer_read(fd, &peer) < 0) {
			close(fd);
			continue;
		}
		peer.role = ctl_roles_of(&c->roles, &peer);
		why = refusal(c, &peer);
		if (why != NULL)
			refuse(fd, why);
		else
			adopt(c, fd, &peer, false);
	}
}
