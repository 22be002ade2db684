/* Plain connections: short, blocked, ended and broken reads, writes and files.
 * SPDX-License-Identifier: MIT */
#include "worker/net/transport.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct transport t;
static int peer;

static int
open_pair(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	plain_init(&t, fds[0]);
	peer = fds[1];
	assert_int_equal(t.ops->handshake(&t), 1);
	assert_false(t.ops->pending(&t));
	return 0;
}

static int
close_pair(void **state)
{
	int fd = t.fd;

	(void)state;
	t.ops->finish(&t);
	close(fd);
	if (peer >= 0)
		close(peer);
	return 0;
}

static void
reads(void **state)
{
	char buf[8];

	(void)state;
	t.want = 0;
	assert_int_equal(t.ops->read(&t, buf, sizeof(buf)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(t.want, WANT_READ);
	assert_int_equal(write(peer, "hello", 5), 5);
	assert_int_equal(t.ops->read(&t, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(t.wire_in, 5);
	shutdown(peer, SHUT_WR);
	assert_int_equal(t.ops->read(&t, buf, sizeof(buf)), 0);
	t.ops->shutdown(&t);
	assert_int_equal(read(peer, buf, sizeof(buf)), 0);
}

/* SIGPIPE has its default action here: sendmsg must not raise it. */
static void
writes(void **state)
{
	char a[] = "one ", b[] = "two", buf[16];
	struct iovec iov[] = {{a, 4}, {b, 3}};

	(void)state;
	assert_int_equal(t.ops->writev(&t, iov, 2), 7);
	assert_int_equal(read(peer, buf, sizeof(buf)), 7);
	assert_memory_equal(buf, "one two", 7);
	while (t.ops->writev(&t, iov, 2) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(t.want, WANT_WRITE);
	close(peer);
	peer = -1;
	assert_int_equal(t.ops->writev(&t, iov, 2), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
}

static void
files(void **state)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	int64_t off = 2;
	char buf[16];
	ssize_t n;

	(void)state;
	assert_int_equal(write(file, "0123456789", 10), 10);
	assert_int_equal(t.ops->sendfile(&t, file, &off, 5), 5);
	assert_int_equal(off, 7);
	assert_int_equal(t.wire_out, 5);
	assert_int_equal(read(peer, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "23456", 5);
	assert_int_equal(t.ops->sendfile(&t, file, &off, 100), 3);
	assert_int_equal(t.ops->sendfile(&t, file, &off, 100), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(ftruncate(file, 64 * 1024 * 1024), 0);
	while ((n = t.ops->sendfile(&t, file, &off, 1024 * 1024)) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(t.want, WANT_WRITE);
	assert_int_equal(off - 2, t.wire_out);
	close(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int
main(void)
{
	const struct CMUnitTest tests[] = {TEST(reads), TEST(writes), TEST(files)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
