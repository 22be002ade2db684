/* Free lists of read buffers: a busy worker touches the same few pages again and again.
 * SPDX-License-Identifier: MIT */
#include "worker/net/net.h"

char *
net_buffer_get(struct net *net)
{
	void **b = net->free_buffers;

	if (b == NULL)
		return malloc(NET_BUFFER);
	net->free_buffers = *b;
	net->n_free_buffers--;
	return (char *)b;
}

void
net_buffer_put(struct net *net, char *buf, size_t cap)
{
	if (buf == NULL)
		return;
	if (cap != NET_BUFFER || net->n_free_buffers >= NET_POOL) {
		free(buf);
		return;
	}
	*(void **)buf = net->free_buffers;
	net->free_buffers = buf;
	net->n_free_buffers++;
}
