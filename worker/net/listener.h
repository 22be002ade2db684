/* A listening socket this worker inherited, and the gate that decides when it accepts.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/addr.h"
#include "common/err.h"
#include "common/net_counts.h"

#include <event2/event_struct.h>

struct net;

struct listener {
	struct net *net;
	int fd; /* inherited; -1 once closed */
	bool tls;
	bool is_unix;
	bool armed;       /* the event is in the loop */
	uint32_t index;   /* in the heritage's order, below SEG_LISTENERS */
	uint64_t n_conns; /* open, the server's own not among them */
	uint64_t n_aside[NET_STATE_COUNT]; /* of these, in this state: conn.aside */
	struct addr addr;                  /* of the socket, the port resolved */
	char name[128];                    /* as the operator wrote it */
	char server_name[ADDR_TEXT_MAX];   /* SERVER_NAME: address, or "unix" */
	char server_port[8];               /* SERVER_PORT: "" for unix */
	struct event ev;
};

NODISCARD int listeners_open(struct net *net, struct err *e);
/* Accepts what is in the queues; `last` closes the listeners then. A drain does it at once
 * and again after a tick, for connections whose handshake was under way. */
void listeners_drain(struct net *net, bool last);
/* Parked: keeps the listeners, takes nothing from them; false: takes again. */
void listeners_hold(struct net *net, bool hold);
bool listeners_closed(const struct net *net);
void listeners_close(struct net *net);
/* Work came or went: open or shut the gate. Cheap; call at the end of a loop turn. */
void listeners_gate(struct net *net);
