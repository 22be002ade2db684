/* The channel between the master and a worker: one typed packet per message.
 * SPDX-License-Identifier: MIT */
#include "common/msg.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Before the payload in every packet; both ends are the same machine. */
struct header {
	uint32_t magic;
	uint32_t type;
};

#define MSG_MAGIC 0x314d4853u

static const uint32_t known_types[] = {
#define MSG(name, value, text) (value),
#include "common/msg.def"
#undef MSG
};

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
};

int
msg_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return err_errno(e, "channel: socketpair");
	return 0;
}

int
msg_send(
    int fd, enum msg_type type, const void *payload, size_t n, const int *fds, size_t n_fds)
{
	struct header h = {MSG_MAGIC, type};
	struct iovec iov[2] = {
	    {&h, sizeof(h)},
	    {(void *)(uintptr_t)payload, MIN(n, MSG_PAYLOAD_MAX)},
	};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
	union control control;
	ssize_t sent;

	if (n_fds > MSG_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds > 0) {
		struct cmsghdr *cm;

		memset(&control, 0, sizeof(control));
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	do
		sent = sendmsg(fd, &mh, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -1 : 0;
}

static void
take_fds(struct msg *m, struct msghdr *mh)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		n = MIN(n, MSG_FDS_MAX - m->n_fds);
		memcpy(m->fds + m->n_fds, CMSG_DATA(cm), n * sizeof(int));
		m->n_fds += n;
	}
}

static bool
is_known(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(known_types); i++)
		if (known_types[i] == type)
			return true;
	return false;
}

static int
refuse(struct msg *m)
{
	for (size_t i = 0; i < m->n_fds; i++)
		close(m->fds[i]);
	m->n_fds = 0;
	m->n = 0;
	errno = EPROTO;
	return -1;
}

int
msg_recv(int fd, struct msg *m)
{
	struct header h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {m->payload, sizeof(m->payload)}};
	union control control;
	struct msghdr mh = {
	    .msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = control.buf,
	    .msg_controllen = sizeof(control.buf),
	};
	ssize_t got;

	m->n = 0;
	m->n_fds = 0;
	do
		got = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	/* A worker killed with a packet unread resets the channel: that is its end too. */
	if (got < 0)
		return errno == ECONNRESET ? 0 : -1;
	if (got == 0 && mh.msg_controllen == 0)
		return 0;
	take_fds(m, &mh);
	if ((size_t)got < sizeof(h) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    h.magic != MSG_MAGIC || !is_known(h.type))
		return refuse(m);
	m->type = (enum msg_type)h.type;
	m->n = (size_t)got - sizeof(h);
	return 1;
}
