/* A peer's or a listener's address, small enough to copy into every request.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <netinet/in.h>
#include <sys/socket.h>

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	}; /* sa.sa_family AF_UNIX: a unix socket, the rest unset */
};

#define ADDR_TEXT_MAX 64

/* From the kernel's answer (accept4, getsockname); unknown families become AF_UNIX. */
void addr_from_sockaddr(struct addr *a, const struct sockaddr *sa, socklen_t len);
/* "10.0.0.7", "::1", "unix": returns the length. buf holds ADDR_TEXT_MAX. */
size_t addr_host(const struct addr *a, char *buf);
/* 0 for a unix socket. */
uint16_t addr_port(const struct addr *a);
/* "10.0.0.7:4711", "[::1]:4711", "unix". */
size_t addr_text(const struct addr *a, char *buf);
