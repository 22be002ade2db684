/* Tells systemd how the service is doing (sd_notify's datagrams).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

/* Takes NOTIFY_SOCKET out of the environment; without it the rest does nothing. */
void notify_init(void);
/* One datagram of NAME=VALUE lines; never blocks, a lost one is not an error. */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);
