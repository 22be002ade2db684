/* The worker's end of the channel to its master, served by the I/O thread.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

struct net;

NODISCARD int channel_open(struct net *net, struct err *e);
void channel_close(void);
/* From a signal handler: treat the next wake-up as DRAIN with the configured time. */
void channel_term_asked(void);
