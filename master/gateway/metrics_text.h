/* What the master answered, as Prometheus reads it. Pure. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>
#include <stdio.h>

enum metrics_doc {
	METRICS_DOC_status,
	METRICS_DOC_stats,
	METRICS_DOC_workers,
	METRICS_DOC_listeners,
	METRICS_DOC_accounts,
	METRICS_DOC_own, /* the application's */
	METRICS_DOC_routes,
	METRICS_DOC_durations,
	METRICS_DOC_http,    /* requests and connections by their labels */
	METRICS_DOC_slots,   /* workers by their place */
	METRICS_DOC_server,  /* what the master counted itself */
	METRICS_DOC_gateway, /* of the gateway itself */
	METRICS_DOCS
};

/* The text format 0.0.4, or OpenMetrics 1.0.0. Answers may be NULL: their samples are left
 * out. The text is the caller's; NULL: no memory. */
char *metrics_text(json_t *const docs[METRICS_DOCS], bool open_metrics, size_t *n);
/* Backslashes and line feeds escaped, and quotes if asked. */
void metrics_put_escaped(FILE *f, const char *text, bool quotes);
/* name="value". */
void metrics_put_label(FILE *f, const char *name, const char *value);
