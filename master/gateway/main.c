/* shoal-gateway: started by the master alone, which gives it descriptors and nothing else.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "master/gateway/gateway.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
main(void)
{
	struct gateway g = {0};
	struct err e;
	int rc = 0;

	if (!is_socket(GATEWAY_FD_MASTER) || !is_socket(GATEWAY_FD_CLIENTS) ||
	    !is_socket(GATEWAY_FD_OBSERVER)) {
		fputs("shoal-gateway: it is started by shoal (--gateway), not by hand\n",
		    stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (gateway_open(&g, &e) == 0) {
		event_base_dispatch(g.base);
	} else {
		log_error("gateway", "cannot start", "reason=\"%s\"", e.text);
		rc = 1;
	}
	gateway_close(&g);
	return rc;
}
