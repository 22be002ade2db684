/* An I/O thread with the C application behind it, a listener in front and a master's end of
 * the channel. What fails here fails the test. SPDX-License-Identifier: MIT */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/msg.h"
#include "tests/unit/support/fake_app.h"
#include "worker/net/net.h"
#include "worker/worker.h"

extern struct worker worker; /* heritage: may be changed between open and run */
extern struct net net;
extern int master_end;      /* of the channel */
extern int master_listener; /* the master's copy of the listening socket */

void net_server_open(void);
void net_server_run(void);
/* After a DRAIN: waits for the end of it and checks that nothing is left. */
void net_server_join(void);

void net_server_tell(enum msg_type type, const void *payload, size_t n);
/* The next message from the worker, within 5 s. */
const struct msg *net_server_heard(void);
/* Waits until the worker has counted that many, for 5 s at most. */
void net_server_wait_stat(enum stat_id id, uint64_t least);
/* Waits until the worker's line of the board says so. */
void net_server_wait_accepting(bool accepting);

int net_server_client(void);
/* One whose kernel takes little before it reads; 0: as usual. */
int net_server_client_with(int rcvbuf);
void net_server_send(int fd, const char *text);
/* Reads until the end of the connection or until `want` bytes are there; returns how many.
 */
size_t net_server_receive(int fd, char *buf, size_t want);
/* The server keeps up with this many of what it counts, or the test fails after 5 s. */
void net_server_wait(_Atomic int *counter, int value);
/* Milliseconds of CLOCK_MONOTONIC. */
int64_t net_server_now(void);
