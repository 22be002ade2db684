/* Server-sent events: what the master tells, written once and sent to every viewer.
 * (WHATWG HTML, 9.2) SPDX-License-Identifier: MIT */
#pragma once

#include "master/gateway/http.h"

struct stream;
struct streams;

NODISCARD struct streams *streams_create(struct gateway *g, struct err *e);
void streams_destroy(struct streams *s);
/* A notification of the observer's session. */
void streams_notify(struct streams *s, const char *method, json_t *params);
/* GET /v1/events and /v1/stats/stream: the client becomes a viewer. */
void stream_run(struct http *h);
/* The viewer's connection ends. */
void stream_leave(struct stream *v);
