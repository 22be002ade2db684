/* The server of tests of the I/O thread: everything of a worker but Python.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/support/net_server.h"

#include "worker/channel.h"
#include "worker/logw.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

struct worker worker;
struct net net;
int master_end, master_listener;
static pthread_t io;
static struct sockaddr_in where;

static void *
io_main(void *arg)
{
	(void)arg;
	net_run(&net);
	return NULL;
}

static int
listen_somewhere(void)
{
	socklen_t len = sizeof(where);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	where = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	assert_int_equal(listen(fd, 128), 0);
	getsockname(fd, (struct sockaddr *)&where, &len);
	return fd;
}

/* The low descriptors are a worker's well-known ones. */
static int
above(int fd)
{
	int high = fcntl(fd, F_DUPFD, HERITAGE_FIRST_LISTENER_FD);

	assert_true(high >= 0);
	close(fd);
	return high;
}

void
net_server_open(void)
{
	const unsigned id[] = {0, 1, 1};
	struct heritage *h = &worker.heritage;
	struct err e;
	int fd;

	memset(&worker, 0, sizeof(worker));
	conf_init(&h->conf);
	h->workers = 1;
	h->n_listeners = 1;
	h->listeners = calloc(1, sizeof(*h->listeners));
	master_listener = above(listen_somewhere());
	h->listeners[0].fd = above(dup(master_listener));
	worker.seg = seg_create(0, 1, 1, &fd, &e);
	assert_non_null(worker.seg);
	close(fd);
	assert_int_equal(acct_create(&worker.accounts, -1, 16, id, &fd, &e), 0);
	close(fd);
	worker.board = board_create(&fd, &e);
	assert_non_null(worker.board);
	close(fd);
}

void
net_server_run(void)
{
	struct err e;
	int pair[2];

	assert_int_equal(msg_pair(pair, &e), 0);
	master_end = above(pair[0]);
	assert_int_equal(dup2(pair[1], HERITAGE_CHANNEL_FD), HERITAGE_CHANNEL_FD);
	if (pair[1] != HERITAGE_CHANNEL_FD)
		close(pair[1]);
	logw_init(above(open("/dev/null", O_WRONLY)), above(open("/dev/null", O_WRONLY)));
	assert_int_equal(logw_start(), 0);
	if (net_init(&net, &worker, &fake_app_ops, &e) < 0 || channel_open(&net, &e) < 0)
		fail_msg("%s", e.text);
	fake_app_start();
	assert_int_equal(pthread_create(&io, NULL, io_main, NULL), 0);
}

void
net_server_join(void)
{
	fake_app_join();
	atomic_store(&net.app_gone, true);
	net_wake(&net);
	pthread_join(io, NULL);
	assert_int_equal(net.n_conns, 0);
	assert_int_equal(net.n_reqs, 0);
	assert_int_equal(fake_counts.started, fake_counts.done);
	channel_close();
	net_finish(&net);
	close(master_end);
	close(master_listener);
	logw_stop(1000);
	board_close(worker.board);
	seg_close(worker.seg);
	acct_close(&worker.accounts);
	heritage_finish(&worker.heritage);
}

void
net_server_tell(enum msg_type type, const void *payload, size_t n)
{
	assert_int_equal(msg_send(master_end, type, payload, n, NULL, 0), 0);
}

const struct msg *
net_server_heard(void)
{
	static struct msg msg;
	struct pollfd p = {.fd = master_end, .events = POLLIN};

	if (poll(&p, 1, 5000) <= 0)
		fail_msg("no message within 5 s");
	assert_int_equal(msg_recv(master_end, &msg), 1);
	return &msg;
}

void
net_server_wait_stat(enum stat_id id, uint64_t least)
{
	for (int i = 0; stat_get(worker.seg, id) < least; i++) {
		if (i == 5000)
			fail_msg("statistic %d is %llu", (int)id,
			    (unsigned long long)stat_get(worker.seg, id));
		poll(NULL, 0, 1);
	}
}

void
net_server_wait_accepting(bool accepting)
{
	for (int i = 0; i < 5000; i++) {
		if ((atomic_load(&worker.board->line[0].accepting) != 0) == accepting)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("the worker's line of the board does not change");
}

int
net_server_client(void)
{
	return net_server_client_with(0);
}

int
net_server_client_with(int rcvbuf)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (rcvbuf > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	return fd;
}

void
net_server_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

size_t
net_server_receive(int fd, char *buf, size_t want)
{
	size_t n = 0;

	while (n < want) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (poll(&p, 1, 5000) <= 0)
			fail_msg("no answer within 5 s; %zu of %zu bytes", n, want);
		got = recv(fd, buf + n, want - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	return n;
}

void
net_server_wait(_Atomic int *counter, int value)
{
	for (int i = 0; i < 5000; i++) {
		if (atomic_load(counter) >= value)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("counter is %d, not %d", atomic_load(counter), value);
}

int64_t
net_server_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
