/* Requests in flight as others see them: entries of the shared segment, for
 * `requests.inflight` and for the master's report on a crashed worker.
 * SPDX-License-Identifier: MIT */
#pragma once

struct net;
struct req;

void inflight_init(struct net *net);
/* When the request goes to the application. All entries taken: it goes unlisted. */
void inflight_open(struct req *r);
/* An application thread took it (called by that thread), or finished with it. */
void inflight_taken(struct req *r);
void inflight_sending(struct req *r);
void inflight_close(struct req *r);
/* Bytes and account of all that take longer than a tick. */
void inflight_tell(struct net *net);
