/* Tells systemd how the service is doing (sd_notify's datagrams), and that it is alive.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct event_base;

/* Takes NOTIFY_SOCKET, WATCHDOG_* and FDSTORE out of the environment; without a socket the
 * rest does nothing. */
void notify_init(void);
/* Puts it back, for another image of this process. */
void notify_export(void);
/* One datagram of NAME=VALUE lines; never blocks, a lost one is not an error. */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Around a reload: systemd waits for READY, and takes it for the answer to its SIGHUP by
 * the time that is sent along (Type=notify-reload). */
void notify_ready(void);
void notify_reloading(void);

/* For `systemctl status`. */
struct notify_figures {
	unsigned ready, wanted; /* workers */
	unsigned generation;
	uint64_t in_hand;  /* requests between start and end */
	double per_second; /* requests answered */
	const char *doing; /* "reloading", "draining" ...; NULL: nothing special */
};

/* Call it as often as you like, about once a second: the same text is told once. */
void notify_status(const struct notify_figures *f);

/* Starts to prove the loop alive, when systemd asked this process for it: twice in each of
 * its intervals. */
NODISCARD int notify_open_watchdog(struct event_base *base, struct err *e);
void notify_close_watchdog(void);

#define NOTIFY_NAME_MAX 256 /* with the NUL: FDNAME= */

/* What a descriptor of this --bind is called in systemd's store; buf holds NOTIFY_NAME_MAX.
 */
const char *notify_fd_name(const char *bind, char *buf);
/* Whether a descriptor that systemd passed was put into the store by us. */
bool notify_is_fd_name(struct str name);
/* Has systemd keep a copy for the next start, if it has a store. */
void notify_store_fd(int fd, const char *name);
void notify_forget_fd(struct str name);
/* Whether the store is known to be there (systemd 254 says so). */
bool notify_has_store(void);
