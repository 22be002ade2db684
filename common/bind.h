/* One --bind address, taken apart: HOST:PORT, :PORT, [V6]:PORT, unix:PATH, fd://N.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#define BIND_HOST_MAX 256
#define BIND_PATH_MAX 108 /* with the NUL: sockaddr_un.sun_path */

enum bind_kind { BIND_TCP, BIND_UNIX, BIND_FD };

struct bind_addr {
	enum bind_kind kind;
	char host[BIND_HOST_MAX]; /* TCP: name or literal without brackets; "" = every
				     address */
	uint16_t port;            /* TCP; 0 = the kernel chooses */
	char path[BIND_PATH_MAX]; /* UNIX; a leading '@' is the abstract name space */
	int fd;                   /* FD */
};

/* -1: the reason says what was expected, without naming the text itself. */
NODISCARD int bind_parse(struct bind_addr *b, const char *text, struct err *e);
