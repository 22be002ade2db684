/* A connection's bytes without TLS: recv, sendmsg and sendfile on the socket itself.
 * SPDX-License-Identifier: MIT */
#include "worker/net/transport.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

/* What one turn copies when the kernel cannot send this kind of file by itself. */
#define COPY_BYTES 65536

static ssize_t
blocked_or_dead(struct transport *t, uint8_t want)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		errno = EAGAIN;
		t->want = want;
	}
	return -1;
}

static int
plain_handshake(struct transport *t)
{
	(void)t;
	return 1;
}

static ssize_t
plain_read(struct transport *t, void *buf, size_t n)
{
	ssize_t got;

	do
		got = recv(t->fd, buf, n, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return blocked_or_dead(t, WANT_READ);
	t->wire_in += (uint64_t)got;
	return got;
}

static ssize_t
plain_writev(struct transport *t, const struct iovec *iov, int n)
{
	/* sendmsg and not writev: only it takes MSG_NOSIGNAL. Most answers are one piece,
	 * and then send spares the kernel the copies of the two structures. */
	struct msghdr msg = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n};
	ssize_t sent;

	do
		sent = n == 1 ? send(t->fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
			      : sendmsg(t->fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return blocked_or_dead(t, WANT_WRITE);
	t->wire_out += (uint64_t)sent;
	return sent;
}

/* For files that sendfile(2) refuses (some network and FUSE file systems). */
static ssize_t
copy_file(struct transport *t, int fd, int64_t *off, size_t n)
{
	char buf[COPY_BYTES];
	ssize_t got, sent;

	do
		got = pread(fd, buf, MIN(n, sizeof(buf)), *off);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		/* A regular file is never "not ready"; the caller would wait for the
		 * socket. */
		if (errno == EAGAIN)
			errno = EIO;
		return -1;
	}
	if (got == 0) {
		errno = ENODATA;
		return -1;
	}
	sent = plain_writev(t, &(struct iovec){buf, (size_t)got}, 1);
	if (sent > 0)
		*off += sent;
	return sent;
}

static ssize_t
plain_sendfile(struct transport *t, int fd, int64_t *off, size_t n)
{
	off_t pos = *off;
	ssize_t sent;

	/* sendfile has no MSG_NOSIGNAL: the I/O thread blocks every signal, and SIGPIPE
	 * with them, whatever the application did to its disposition. */
	do
		sent = sendfile(t->fd, fd, &pos, n);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOVERFLOW))
		return copy_file(t, fd, off, n);
	if (sent < 0)
		return blocked_or_dead(t, WANT_WRITE);
	if (sent == 0 && n > 0) {
		errno = ENODATA;
		return -1;
	}
	*off = pos;
	t->wire_out += (uint64_t)sent;
	return sent;
}

static bool
plain_pending(const struct transport *t)
{
	(void)t;
	return false;
}

void
transport_fin(struct transport *t)
{
	if (shutdown(t->fd, SHUT_WR) == 0)
		t->fin = true;
}

static void
plain_shutdown(struct transport *t)
{
	transport_fin(t);
}

static void
plain_finish(struct transport *t)
{
	t->ops = NULL;
}

const struct transport_ops transport_plain = {
    .handshake = plain_handshake,
    .read = plain_read,
    .writev = plain_writev,
    .sendfile = plain_sendfile,
    .pending = plain_pending,
    .shutdown = plain_shutdown,
    .finish = plain_finish,
};

void
plain_init(struct transport *t, int fd)
{
	*t = (struct transport){.ops = &transport_plain, .fd = fd, .want = WANT_READ};
}
