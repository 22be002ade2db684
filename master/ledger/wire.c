/* Lines to and from the master. SPDX-License-Identifier: MIT */
#include "master/ledger/wire.h"

#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define CHUNK 65536
#define SEND_MS 10000 /* a master that takes nothing for so long has lost its mind */

static struct wire *log_wire;

static void
keep_fds(struct wire *w, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len;
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, (char *)c + at, sizeof(fd));
			if (w->n_fds < WIRE_FDS_MAX)
				w->fds[w->n_fds++] = fd;
			else
				close(fd);
		}
	}
}

/* The kernel ends a read behind what a descriptor came with: lines and descriptors keep
 * their order. */
static ssize_t
receive(struct wire *w)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control;
	struct iovec data = {.iov_base = w->in + w->n, .iov_len = w->cap - w->n};
	struct msghdr m = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.room,
	    .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(WIRE_FD, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n > 0)
		keep_fds(w, &m);
	return n;
}

int
wire_take_fd(struct wire *w)
{
	int fd;

	if (w->n_fds == 0)
		return -1;
	fd = w->fds[0];
	w->n_fds--;
	memmove(w->fds, w->fds + 1, w->n_fds * sizeof(w->fds[0]));
	return fd;
}

bool
wire_is_orphaned(void)
{
	struct pollfd p = {.fd = WIRE_FD};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) != 0;
}

int
wire_read(struct wire *w, wire_line_fn *fn, void *ctx)
{
	ssize_t n;
	char *end;

	if (w->cap - w->n < CHUNK) {
		char *grown =
		    w->cap < WIRE_LINE_MAX ? realloc(w->in, w->cap + CHUNK) : NULL;

		if (grown == NULL)
			return -1;
		w->in = grown;
		w->cap += CHUNK;
	}
	n = receive(w);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	w->n += (size_t)n;
	while ((end = memchr(w->in, '\n', w->n)) != NULL) {
		size_t len = (size_t)(end - w->in);
		json_t *line = json_loadb(w->in, len, JSON_REJECT_DUPLICATES, NULL);

		memmove(w->in, end + 1, w->n - len - 1);
		w->n -= len + 1;
		if (!json_is_object(line)) {
			json_decref(line);
			return -1;
		}
		fn(ctx, line);
		json_decref(line);
	}
	return 0;
}

static void
send_all(struct wire *w, const char *p, size_t n)
{
	while (n > 0 && !w->broken) {
		ssize_t put = send(WIRE_FD, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd wait = {.fd = WIRE_FD, .events = POLLOUT};

		if (put > 0) {
			p += put;
			n -= (size_t)put;
		} else if (errno == EAGAIN) {
			w->broken = poll(&wait, 1, SEND_MS) == 0;
		} else if (errno != EINTR) {
			w->broken = true;
		}
	}
}

void
wire_send(struct wire *w, json_t *line)
{
	/* Microseconds of Unix time need sixteen digits. */
	char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(16)) : NULL;

	if (text != NULL) {
		size_t n = strlen(text);

		text[n] = '\n'; /* in the place of its end */
		send_all(w, text, n + 1);
	}
	free(text);
	json_decref(line);
}

/* The master puts time, process and level before it again: of the line, what is behind
 * them. */
static void
on_log(const char *line, size_t n)
{
	static const char *const labels[] = {
	    "[DEBUG] ", "[INFO] ", "[WARNING] ", "[ERROR] ", "[CRITICAL] "};

	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		const char *at = memmem(line, n, labels[i], strlen(labels[i]));
		const char *colon;

		if (at == NULL)
			continue;
		at += strlen(labels[i]);
		n -= (size_t)(at - line) + 1;
		colon = memmem(at, n, ": ", 2);
		if (colon == NULL)
			return;
		colon += 2;
		wire_send(log_wire,
		    json_pack("{s:s, s:s%}", "log", log_level_name((enum log_level)i),
			"event", colon, n - (size_t)(colon - at)));
		return;
	}
}

void
wire_take_log(struct wire *w)
{
	log_wire = w;
	log_set_sink(on_log);
}

void
wire_finish(struct wire *w)
{
	while (w->n_fds > 0)
		close(w->fds[--w->n_fds]);
	free(TAKE_PTR(w->in));
	if (log_wire == w)
		log_set_sink(NULL);
}
