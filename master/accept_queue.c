/* Asks the kernel for a listening socket's queue. SPDX-License-Identifier: MIT */
#include "master/accept_queue.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define STATE_LISTEN 10 /* TCP_LISTEN of the kernel */

bool
accept_queue_read(int fd, struct accept_queue *q)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t n = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
	    info.tcpi_state != STATE_LISTEN)
		return false;
	/* Of a listener these two mean something else: sk_ack_backlog and its limit. */
	q->waiting = info.tcpi_unacked;
	q->limit = info.tcpi_sacked;
	return true;
}
