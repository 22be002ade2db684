/* What systemd is told: over a socket of the test's own.
 * SPDX-License-Identifier: MIT */
#include "master/notify.h"

#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static int sock;

/* The next datagram, "" when there is none; the descriptor that came along, or -1. */
static const char *
hear(int *fd)
{
	static char text[1024];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT);
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	int got = -1;

	if (c != NULL)
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	if (fd != NULL)
		*fd = got;
	else if (got >= 0)
		close(got);
	text[MAX(n, 0)] = '\0';
	return text;
}

static void
start(const char *usec, const char *pid)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(un);
	char name[128];

	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Linux chooses an abstract name. */
	assert_int_equal(bind(sock, (struct sockaddr *)&un, sizeof(sa_family_t)), 0);
	getsockname(sock, (struct sockaddr *)&un, &len);
	snprintf(name, sizeof(name), "@%.*s",
	    (int)(len - offsetof(struct sockaddr_un, sun_path) - 1), un.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", usec, 1);
	setenv("WATCHDOG_PID", pid, 1);
	setenv("FDSTORE", "64", 1);
	notify_init();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("FDSTORE"));
}

static void
test_states(void **state)
{
	char want[64];

	(void)state;
	start("0", "");
	snprintf(want, sizeof(want), "READY=1\nMAINPID=%d", (int)getpid());
	notify_ready();
	assert_string_equal(hear(NULL), want);
	notify_reloading();
	assert_int_equal(strncmp(hear(NULL), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	assert_string_equal(hear(NULL), "");
	close(sock);
}

static void
test_status(void **state)
{
	struct notify_figures f = {
	    .ready = 3, .wanted = 4, .generation = 2, .in_hand = 7, .per_second = 99.6};

	(void)state;
	start("0", "");
	notify_status(&f);
	assert_string_equal(hear(NULL),
	    "STATUS=3 of 4 workers ready, generation 2, 7 requests "
	    "in hand, 100 per second");
	notify_status(&f);
	assert_string_equal(hear(NULL), "");
	f.doing = "reloading";
	notify_status(&f);
	assert_string_equal(hear(NULL),
	    "STATUS=reloading; 3 of 4 workers ready, generation 2, "
	    "7 requests in hand, 100 per second");
	close(sock);
}

static unsigned
beats(const char *usec, const char *pid)
{
	const struct timeval tv = {.tv_usec = 230000};
	struct event_base *base = event_base_new();
	struct err e;
	unsigned n = 0;

	start(usec, pid);
	assert_int_equal(notify_open_watchdog(base, &e), 0);
	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
	notify_close_watchdog();
	while (strcmp(hear(NULL), "WATCHDOG=1") == 0)
		n++;
	event_base_free(base);
	close(sock);
	return n;
}

/* One at once, then two in each interval; none that was asked of another process. */
static void
test_watchdog(void **state)
{
	char own[32];

	(void)state;
	snprintf(own, sizeof(own), "%d", (int)getpid());
	assert_in_range(beats("100000", own), 4, 5);
	assert_in_range(beats("100000", ""), 4, 5);
}

static void
test_no_watchdog(void **state)
{
	static const char *const cases[][2] = {{"100000", "1"}, {"0", ""}, {"soon", ""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(beats(cases[i][0], cases[i][1]), 0);
}

static void
test_store(void **state)
{
	char name[NOTIFY_NAME_MAX];
	struct stat a, b;
	int fd, mine = open("/dev/null", O_RDONLY);

	(void)state;
	start("0", "");
	assert_true(notify_has_store());
	assert_string_equal(notify_fd_name("[::1]:80", name), "bind-[%3A%3A1]%3A80");
	assert_string_equal(
	    notify_fd_name("unix:/run/a b.sock", name), "bind-unix%3A/run/a%20b.sock");
	assert_true(notify_is_fd_name(str_of(name)));
	assert_false(notify_is_fd_name(STR("bind-")));
	assert_false(notify_is_fd_name(STR("shoal@shop.socket")));
	notify_store_fd(mine, name);
	assert_string_equal(hear(&fd), "FDSTORE=1\nFDNAME=bind-unix%3A/run/a%20b.sock");
	assert_int_equal(fstat(mine, &a) | fstat(fd, &b), 0);
	assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	notify_forget_fd(str_of(name));
	assert_string_equal(
	    hear(NULL), "FDSTOREREMOVE=1\nFDNAME=bind-unix%3A/run/a%20b.sock");
	close(fd);
	close(mine);
	close(sock);
}

/* Never too long for systemd, and never cut inside of an escape. */
static void
test_long_name(void **state)
{
	char bind[400], name[NOTIFY_NAME_MAX];

	(void)state;
	memset(bind, ':', sizeof(bind) - 1);
	bind[sizeof(bind) - 1] = '\0';
	notify_fd_name(bind, name);
	assert_in_range(strlen(name), 250, 255);
	assert_string_equal(name + strlen(name) - 3, "%3A");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_states),
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_watchdog),
	    cmocka_unit_test(test_no_watchdog),
	    cmocka_unit_test(test_store),
	    cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
