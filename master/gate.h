/* The master's side of shoal-gateway: starts it when there is somebody to serve, gives it
 * its clients and sessions with no more rights than those clients have.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <sys/types.h>

struct ctl_peer;
struct gate;
struct master;

/* With --gateway it listens and starts at once, else with the first HTTP client of the
 * control socket. *gate is NULL without a control socket: it would have nobody to ask. */
NODISCARD int gate_open(struct gate **gate, struct master *m, struct err *e);
/* NULL is fine. */
void gate_close(struct gate *g);
/* An HTTP client of the control socket: its descriptor (stays the caller's) and what has
 * been read from it. -1: it cannot be served now. */
NODISCARD int gate_serve(struct gate *g, int fd, const struct ctl_peer *peer,
    const char *bytes, size_t n, struct err *e);
/* For every dead child of the master: true when it was the gateway. g may be NULL. */
bool gate_on_child(struct gate *g, pid_t pid, int status);
/* Of its process; 0: there is none. */
pid_t gate_pid(const struct gate *g);
