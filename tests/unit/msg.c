/* The channel: packets keep their type, bytes and descriptors, and strangers are refused.
 * SPDX-License-Identifier: MIT */
#include "common/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct msg got;

static int
open_null(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* The lowest free descriptor: the same before and after means none was left open. */
static int
next_fd(void)
{
	int fd = open_null();

	close(fd);
	return fd;
}

static int
pair(void **state)
{
	static int fds[2];
	struct err e;

	assert_int_equal(msg_pair(fds, &e), 0);
	*state = fds;
	return 0;
}

static int
unpair(void **state)
{
	int *fds = *state;

	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	return 0;
}

static void
test_flags(void **state)
{
	int *fds = *state;

	for (int i = 0; i < 2; i++) {
		assert_true((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) != 0);
		assert_true((fcntl(fds[i], F_GETFL) & O_NONBLOCK) != 0);
	}
	assert_int_equal(msg_recv(fds[0], &got), -1);
	assert_int_equal(errno, EAGAIN);
}

static void
test_payload(void **state)
{
	static char big[MSG_PAYLOAD_MAX + 10];
	int *fds = *state;

	memset(big, 'x', sizeof(big));
	assert_int_equal(msg_send(fds[0], MSG_READY, NULL, 0, NULL, 0), 0);
	assert_int_equal(msg_send(fds[0], MSG_FAILED, "why", 3, NULL, 0), 0);
	assert_int_equal(msg_send(fds[0], MSG_FAILED, big, sizeof(big), NULL, 0), 0);
	assert_int_equal(msg_recv(fds[1], &got), 1);
	assert_int_equal(got.type, MSG_READY);
	assert_int_equal(got.n, 0);
	assert_int_equal(msg_recv(fds[1], &got), 1);
	assert_int_equal(got.type, MSG_FAILED);
	assert_int_equal(got.n, 3);
	assert_memory_equal(got.payload, "why", 3);
	assert_int_equal(msg_recv(fds[1], &got), 1);
	assert_int_equal(got.n, MSG_PAYLOAD_MAX);
	assert_memory_equal(got.payload, big, MSG_PAYLOAD_MAX);
}

static void
test_descriptors(void **state)
{
	int *fds = *state, sent[2] = {open_null(), open_null()};
	struct stat a, b;

	assert_int_equal(msg_send(fds[0], MSG_REOPEN, NULL, 0, sent, 2), 0);
	assert_int_equal(msg_recv(fds[1], &got), 1);
	assert_int_equal(got.type, MSG_REOPEN);
	assert_int_equal(got.n_fds, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fstat(sent[i], &a), 0);
		assert_int_equal(fstat(got.fds[i], &b), 0);
		assert_true(a.st_rdev == b.st_rdev);
		assert_true((fcntl(got.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
		close(sent[i]);
		close(got.fds[i]);
	}
	assert_int_equal(msg_send(fds[0], MSG_REOPEN, NULL, 0, sent, MSG_FDS_MAX + 1), -1);
	assert_int_equal(errno, EINVAL);
}

static void
test_end(void **state)
{
	int *fds = *state;

	assert_int_equal(msg_send(fds[1], MSG_DRAINED, NULL, 0, NULL, 0), 0);
	close(fds[1]);
	fds[1] = -1;
	assert_int_equal(msg_recv(fds[0], &got), 1);
	assert_int_equal(msg_recv(fds[0], &got), 0);
	assert_int_equal(msg_send(fds[0], MSG_QUIT, NULL, 0, NULL, 0), -1);
	assert_int_equal(errno, EPIPE);
}

static void
test_full(void **state)
{
	int *fds = *state, rc, n = 0;

	while ((rc = msg_send(fds[0], MSG_READY, NULL, 0, NULL, 0)) == 0 && n < 1000000)
		n++;
	assert_int_equal(rc, -1);
	assert_int_equal(errno, EAGAIN);
}

/* Raw bytes on the channel, with descriptors: refused, and nothing is kept. */
static void
send_raw(int fd, const void *p, size_t n, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 8)];
	} control = {0};
	struct iovec iov = {(void *)(uintptr_t)p, n};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	int null = open_null();

	if (n_fds > 0) {
		struct cmsghdr *cm;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(cm) + i * sizeof(int), &null, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &mh, 0), n);
	close(null);
}

static void
test_strangers(void **state)
{
	static const uint32_t packets[][2] = {
	    {0x314d4853, 999}, /* a type nobody defined */
	    {0x12345678, 1},   /* another program's */
	};
	static char long_packet[MSG_PAYLOAD_MAX + 100] = {'S', 'H', 'M', '1', 1};
	static const uint32_t ready[2] = {0x314d4853, MSG_READY};
	int *fds = *state, before = next_fd();

	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		send_raw(fds[0], packets[i], sizeof(packets[i]), 1);
		assert_int_equal(msg_recv(fds[1], &got), -1);
		assert_int_equal(errno, EPROTO);
	}
	send_raw(fds[0], "abc", 3, 1); /* shorter than a header */
	assert_int_equal(msg_recv(fds[1], &got), -1);
	assert_int_equal(errno, EPROTO);
	send_raw(fds[0], long_packet, sizeof(long_packet), 0);
	assert_int_equal(msg_recv(fds[1], &got), -1);
	assert_int_equal(errno, EPROTO);
	send_raw(fds[0], ready, sizeof(ready), 8); /* more descriptors than a message has */
	assert_int_equal(msg_recv(fds[1], &got), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(next_fd(), before);
}

#define CHANNEL_TEST(f) cmocka_unit_test_setup_teardown(f, pair, unpair)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    CHANNEL_TEST(test_flags),
	    CHANNEL_TEST(test_payload),
	    CHANNEL_TEST(test_descriptors),
	    CHANNEL_TEST(test_end),
	    CHANNEL_TEST(test_full),
	    CHANNEL_TEST(test_strangers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
