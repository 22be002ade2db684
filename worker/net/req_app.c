/* The application threads' half of a request: output, body reading, signals.
 * SPDX-License-Identifier: MIT */
#include "common/board.h"
#include "common/conf.h"
#include "worker/net/body.h"
#include "worker/net/inflight.h"
#include "worker/net/listener.h"
#include "worker/net/net.h"
#include "worker/net/req_io.h"

#include <fcntl.h>
#include <pthread.h>

/* An application call this short makes a wake-up worth batching; after a longer one the
 * client has waited enough. */
#define LAZY_APP_NS 50000
#define LAZY_SIGNALS 32

/* The process has one I/O thread; an idle application thread has no request to find it by.
 */
static struct net *io_thread;

void
req_attach(struct net *net)
{
	io_thread = net;
}

static void
wake_if_asleep(struct net *net, bool even_napping)
{
	int state = atomic_load(&net->io_state);

	if (state != IO_SLEEPING && !(state == IO_NAPPING && even_napping))
		return;
	/* One of the threads that find it asleep wakes it. */
	if (atomic_compare_exchange_strong(&net->io_state, &state, IO_RUNNING))
		net_wake(net);
}

/* After this call r may be gone (SIG_DONE). */
static void
req_signal(struct req *r, uint32_t bits)
{
	struct net *net = r->net;
	bool slow =
	    r->app_ns > LAZY_APP_NS || (bits & (SIG_WANT_BODY | SIG_BODY_ROOM)) != 0;
	struct req *head;

	if (atomic_fetch_or(&r->signals, bits) != 0)
		return; /* already in the list, and whoever put it there woke the thread */
	head = atomic_load_explicit(&net->signalled, memory_order_relaxed);
	do {
		r->sig_next = head;
	} while (!atomic_compare_exchange_weak(&net->signalled, &head, r));
	if (atomic_fetch_add_explicit(&net->deferred, 1, memory_order_relaxed) >=
	    LAZY_SIGNALS)
		slow = true;
	wake_if_asleep(net, slow);
}

/* Between the look at the number and the duplicate the connection must not be closed: the
 * number may be another client's right after. */
static pthread_mutex_t socket_lock = PTHREAD_MUTEX_INITIALIZER;

int
req_dup_socket(struct req *r)
{
	int fd;

	pthread_mutex_lock(&socket_lock);
	fd = r->conn_fd < 0 ? -1 : fcntl(r->conn_fd, F_DUPFD_CLOEXEC, 0);
	pthread_mutex_unlock(&socket_lock);
	return fd;
}

void
req_hide_socket(struct req *r)
{
	if (!r->with_app) { /* nobody else is looking */
		r->conn_fd = -1;
		return;
	}
	pthread_mutex_lock(&socket_lock);
	r->conn_fd = -1;
	pthread_mutex_unlock(&socket_lock);
}

void
req_app_idle(void)
{
	struct net *net = io_thread;

	if (net != NULL && atomic_load(&net->signalled) != NULL)
		wake_if_asleep(net, true);
}

void
req_taken(struct req *r, uint32_t index)
{
	r->app_thread = index;
	atomic_store_explicit(&r->taken, true, memory_order_relaxed);
	inflight_taken(r);
}

void
req_bill(struct req *r, const char *account, size_t n)
{
	r->account_n = (uint32_t)acct_key_fold(account, n, r->account);
}

void
req_name_route(struct req *r, const char *route, size_t n)
{
	r->route_n = (uint32_t)acct_key_fold(route, n, r->route);
}

char *
req_out_room(struct req *r, size_t n)
{
	return outq_room(&r->out, n);
}

void
req_out_add(struct req *r, enum out_kind kind, size_t n)
{
	outq_add(&r->out, kind, n);
}

int
req_out_copy(struct req *r, enum out_kind kind, const char *p, size_t n)
{
	char *room = outq_room(&r->out, n);

	if (room == NULL)
		return -1;
	memcpy(room, p, n);
	outq_add(&r->out, kind, n);
	return 0;
}

int
req_out_borrow(struct req *r, enum out_kind kind, const char *p, size_t n, void *owner)
{
	return outq_borrow(&r->out, kind, p, n, owner);
}

int
req_out_file(struct req *r, int fd, int64_t off, uint64_t n, void *owner)
{
	return outq_file(&r->out, fd, off, n, owner);
}

void
req_out_publish(struct req *r)
{
	if (outq_publish(&r->out))
		req_signal(r, SIG_OUT);
}

bool
req_out_full(const struct req *r)
{
	return atomic_load_explicit(&r->out.pending, memory_order_relaxed) >=
	       (uint64_t)r->net->conf->output_high;
}

void
req_want_pull(struct req *r)
{
	req_signal(r, SIG_WANT_PULL);
}

void
req_set_deadline(struct req *r, uint64_t at_ns)
{
	atomic_store_explicit(&r->deadline_ns, at_ns, memory_order_relaxed);
	req_signal(r, SIG_DEADLINE);
}

bool
req_may_persist(const struct req *r)
{
	return r->head.keep_alive && r->net->conf->keep_alive > 0 &&
	       !atomic_load_explicit(&r->net->announcing, memory_order_relaxed) &&
	       !atomic_load_explicit(&r->net->board->draining, memory_order_relaxed);
}

void
req_finish(struct req *r, unsigned flags)
{
	outq_publish(&r->out);
	r->finish_flags = flags;
	req_signal(r, SIG_FINISH | ((flags & REQ_NEEDS_END) ? 0 : SIG_DONE));
}

void
req_done(struct req *r)
{
	req_signal(r, SIG_DONE);
}

void
req_await_ack(struct req *r)
{
	req_signal(r, SIG_AWAIT);
}

int64_t
req_body_read(struct req *r, char *dst, size_t n)
{
	int64_t got;

	if (r->body == NULL)
		return 0;
	got = body_read(r->body, dst, n);
	if (got > 0 && body_room_wanted(r->body))
		req_signal(r, SIG_BODY_ROOM);
	return got;
}

void
req_body_want(struct req *r)
{
	req_signal(r, SIG_WANT_BODY);
}

const char *
req_body_error(const struct req *r, bool *bad_framing)
{
	return body_error(r->body, bad_framing);
}

uint64_t
req_body_ready(const struct req *r)
{
	return r->body == NULL ? 0 : body_ready(r->body);
}

const char *
req_server_name(const struct req *r)
{
	return r->listener->server_name;
}

const char *
req_server_port(const struct req *r)
{
	return r->listener->server_port;
}
