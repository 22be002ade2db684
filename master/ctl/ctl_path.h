/* The socket file: where it is, who holds it, how it comes and goes.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/fields.h"

#include <sys/types.h>
#include <sys/un.h>

#define CTL_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

struct ctl_path {
	int fd;      /* owned; listens; -1: none */
	int lock_fd; /* owned; flock held while the instance lives */
	int dir_fd;  /* owned */
	char path[CTL_PATH_MAX];
	char base[CTL_PATH_MAX]; /* within dir_fd */
	dev_t dev;
	ino_t ino;
};

/* At `path`, or, when it is NULL, at the first of the default places that can be had.
 * 0: open. 1: no default place, e says why. -1: what was asked for is impossible. */
NODISCARD int ctl_path_open(
    struct ctl_path *p, const char *path, const char *instance, mode_t mode, struct err *e);
/* Of one that is handed over to another image of this process; adopted by that. */
#define CTL_PATH_FIELDS 7
extern const struct json_field ctl_path_fields[CTL_PATH_FIELDS];
NODISCARD int ctl_path_adopt(struct ctl_path *p, const json_t *from, struct err *e);
/* Removes socket and lock when they are still ours. */
void ctl_path_close(struct ctl_path *p);
