/* Watches files for --reload: the directories they are in, through inotify, until something
 * that belongs to the application has changed. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#define WATCH_DIRS_MAX 4096
#define WATCH_FILES_MAX 65536
#define WATCH_QUIET_MS 300  /* what is passed to watch_open() but in tests */
#define WATCH_RETRY_MS 1000 /* for a directory that went away */

struct event_base;
struct watch;

/* A file was written, put in place, made or removed: the first one since the last call.
 * "": too many to tell. May call watch_add(), not watch_close(). */
typedef void watch_fn(void *ctx, const char *path);

/* A change is told when nothing followed for quiet_ms, or when changes have gone on for ten
 * times as long. NULL: err, which says what to raise when the system's limit is reached. */
struct watch *watch_open(struct event_base *base, int64_t quiet_ms, watch_fn *on_change,
    void *ctx, struct err *e);
/* Paths, one per line; known ones cost a look-up. Of a directory every file counts. In the
 * directory of a file new .py files count, too: the missing module may be among them. */
void watch_add(struct watch *w, struct str lines);
/* NULL is fine. */
void watch_close(struct watch *w);
