/* What gunicorn's `show` commands answer, with its field names.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>

struct ctl;

/* Each a new reference. */
json_t *gunicorn_show_workers(struct ctl *c);
json_t *gunicorn_show_all(struct ctl *c);
json_t *gunicorn_show_config(struct ctl *c);
json_t *gunicorn_show_stats(struct ctl *c);
json_t *gunicorn_show_listeners(struct ctl *c);
/* There is no such thing here; it says so. */
json_t *gunicorn_show_dirty(struct ctl *c);
