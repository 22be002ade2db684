/* What the I/O threads count by labels: one array of counters in the segment, in which each
 * metric has its part and each combination of its labels a place.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#define NET_LISTENERS 64

/* Where a request is. */
#define NET_PHASES(WORD)                                                                   \
	WORD(PHASE, read) WORD(PHASE, queue) WORD(PHASE, app) WORD(PHASE, write)
/* Who ended a request before its end. */
#define NET_ABORTERS(WORD) WORD(ABORT, client) WORD(ABORT, server) WORD(ABORT, timeout)
/* Why the server answered instead of the application. */
#define NET_REJECTS(WORD)                                                                  \
	WORD(REJECT, parse)                                                                \
	WORD(REJECT, too_large)                                                            \
	WORD(REJECT, timeout)                                                              \
	WORD(REJECT, overload)                                                             \
	WORD(REJECT, quota)                                                                \
	WORD(REJECT, bad_host)
/* Why a connection ended. server: after an answer that was the last, room: an idle one, for
 * another client's sake. */
#define NET_CLOSES(WORD)                                                                   \
	WORD(CLOSE, client)                                                                \
	WORD(CLOSE, server)                                                                \
	WORD(CLOSE, idle)                                                                  \
	WORD(CLOSE, room)                                                                  \
	WORD(CLOSE, drain)                                                                 \
	WORD(CLOSE, app)                                                                   \
	WORD(CLOSE, reset)                                                                 \
	WORD(CLOSE, timeout)                                                               \
	WORD(CLOSE, protocol)                                                              \
	WORD(CLOSE, tls)
/* Those of them that are errors. */
#define NET_FAULTS(WORD)                                                                   \
	WORD(FAULT, reset) WORD(FAULT, timeout) WORD(FAULT, protocol) WORD(FAULT, tls)
/* Of an open connection. */
#define NET_STATES(WORD)                                                                   \
	WORD(STATE, idle) WORD(STATE, active) WORD(STATE, handshake) WORD(STATE, lingering)

#define NET_ENUM(kind, word) NET_##kind##_##word,
enum net_phase { NET_PHASES(NET_ENUM) NET_PHASE_COUNT };
enum net_abort { NET_ABORTERS(NET_ENUM) NET_ABORT_COUNT };
enum net_reject { NET_REJECTS(NET_ENUM) NET_REJECT_COUNT };
enum net_close { NET_CLOSES(NET_ENUM) NET_CLOSE_COUNT };
enum net_fault { NET_FAULTS(NET_ENUM) NET_FAULT_COUNT };
enum net_state { NET_STATES(NET_ENUM) NET_STATE_COUNT };
#undef NET_ENUM

extern const char *const net_phase_words[NET_PHASE_COUNT];
extern const char *const net_abort_words[NET_ABORT_COUNT];
extern const char *const net_reject_words[NET_REJECT_COUNT];
extern const char *const net_close_words[NET_CLOSE_COUNT];
extern const char *const net_fault_words[NET_FAULT_COUNT];
extern const char *const net_state_words[NET_STATE_COUNT];

/* TLS handshakes. One that failed has no version. */
struct net_handshake {
	const char *version, *result;
	bool resumed;
};

#define NET_HANDSHAKES 7
#define NET_HANDSHAKE_FAILED (NET_HANDSHAKES - 1)
extern const struct net_handshake net_handshakes[NET_HANDSHAKES];
/* The place of one that was completed; version: OpenSSL's word. */
unsigned net_handshake_find(const char *version, bool resumed);

/* Where in the array each metric begins; its last label varies fastest. */
enum {
	NET_COUNT_ABORTED,
	NET_COUNT_REJECTED = NET_COUNT_ABORTED + NET_ABORT_COUNT * NET_PHASE_COUNT,
	NET_COUNT_CLOSED = NET_COUNT_REJECTED + NET_REJECT_COUNT,
	NET_COUNT_HANDSHAKES = NET_COUNT_CLOSED + NET_CLOSE_COUNT,
	NET_COUNT_FAULTS = NET_COUNT_HANDSHAKES + NET_HANDSHAKES,
	NET_COUNTS = NET_COUNT_FAULTS + NET_LISTENERS * NET_FAULT_COUNT
};
