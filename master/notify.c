/* Tells systemd how the service is doing: one datagram per state, as sd_notify(3) writes
 * it. SPDX-License-Identifier: MIT */
#include "master/notify.h"

#include <ctype.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define NAME_PREFIX "bind-"

static struct sockaddr_un where;
static socklen_t where_len;    /* 0: nobody to tell */
static int64_t watchdog_us;    /* 0: not asked for */
static struct event *watchdog; /* owned */
static bool has_store;
static char told[256]; /* the last STATUS= */

/* 0: unset, or no number. */
static int64_t
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long long v = text != NULL ? strtoll(text, &end, 10) : 0;

	return text != NULL && *text != '\0' && *end == '\0' && v > 0 ? v : 0;
}

static struct {
	const char *name;
	char *value; /* owned; for notify_export() */
} kept[] = {{"NOTIFY_SOCKET", NULL}, {"WATCHDOG_USEC", NULL}, {"WATCHDOG_PID", NULL},
    {"FDSTORE", NULL}};

void
notify_init(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	int64_t pid = env_number("WATCHDOG_PID");

	if (n > 1 && n < sizeof(where.sun_path) && (path[0] == '/' || path[0] == '@')) {
		where.sun_family = AF_UNIX;
		memcpy(where.sun_path, path, n);
		if (path[0] == '@')
			where.sun_path[0] = '\0';
		/* An abstract address has no terminating NUL: its length is its end. */
		where_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	}
	watchdog_us = pid == 0 || pid == getpid() ? env_number("WATCHDOG_USEC") : 0;
	has_store = env_number("FDSTORE") > 0;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		const char *value = getenv(kept[i].name);

		free(kept[i].value);
		kept[i].value = value != NULL ? strdup(value) : NULL;
		unsetenv(kept[i].name);
	}
}

void
notify_export(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (kept[i].value != NULL)
			setenv(kept[i].name, kept[i].value, 1);
}

/* fd < 0: none goes along. */
static void
send_text(const char *text, size_t n, int passed)
{
	AUTO_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_base = (char *)(uintptr_t)text, .iov_len = n};
	struct msghdr msg = {
	    .msg_name = &where, .msg_namelen = where_len, .msg_iov = &iov, .msg_iovlen = 1};

	if (passed >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)control;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof(int));
	}
	if (fd >= 0)
		(void)!sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void
notify_send(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	if (where_len == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		send_text(text, MIN((size_t)n, sizeof(text) - 1), -1);
}

void
notify_ready(void)
{
	notify_send("READY=1\nMAINPID=%d", (int)getpid());
}

void
notify_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	notify_send("RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

void
notify_status(const struct notify_figures *f)
{
	char text[sizeof(told)];

	snprintf(text, sizeof(text),
	    "%s%s%u of %u workers ready, generation %u, %" PRIu64
	    " requests in hand, %.0f per second",
	    f->doing ? f->doing : "", f->doing ? "; " : "", f->ready, f->wanted,
	    f->generation, f->in_hand, f->per_second);
	if (strcmp(text, told) == 0)
		return;
	strcpy(told, text);
	notify_send("STATUS=%s", text);
}

/* ---- The watchdog ---- */

static void
on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	notify_send("WATCHDOG=1");
}

int
notify_open_watchdog(struct event_base *base, struct err *e)
{
	const struct timeval half = {
	    .tv_sec = watchdog_us / 2 / 1000000, .tv_usec = watchdog_us / 2 % 1000000};

	if (where_len == 0 || watchdog_us == 0)
		return 0;
	watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	if (watchdog == NULL || event_add(watchdog, &half) < 0)
		return err_set(e, "cannot start the watchdog's timer");
	on_watchdog(-1, 0, NULL);
	return 0;
}

void
notify_close_watchdog(void)
{
	if (watchdog != NULL)
		event_free(watchdog);
	watchdog = NULL;
}

/* ---- The store of descriptors ---- */

bool
notify_has_store(void)
{
	return has_store;
}

/* A name is ASCII without `:` and control characters. */
const char *
notify_fd_name(const char *bind, char *buf)
{
	size_t n = strlen(NAME_PREFIX);

	memcpy(buf, NAME_PREFIX, n);
	for (const unsigned char *p = (const unsigned char *)bind; *p != '\0'; p++) {
		bool plain = isalnum(*p) || strchr("-._/[]", *p) != NULL;

		if (n + 4 > NOTIFY_NAME_MAX)
			break;
		n += (size_t)snprintf(
		    buf + n, NOTIFY_NAME_MAX - n, plain ? "%c" : "%%%02X", *p);
	}
	buf[n] = '\0';
	return buf;
}

bool
notify_is_fd_name(struct str name)
{
	return name.n > strlen(NAME_PREFIX) &&
	       memcmp(name.p, NAME_PREFIX, strlen(NAME_PREFIX)) == 0;
}

void
notify_store_fd(int fd, const char *name)
{
	char text[NOTIFY_NAME_MAX + 32];
	int n = snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);

	if (where_len != 0)
		send_text(text, (size_t)n, fd);
}

void
notify_forget_fd(struct str name)
{
	notify_send("FDSTOREREMOVE=1\nFDNAME=%.*s", (int)name.n, name.p);
}
