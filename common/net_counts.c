/* The words of what the I/O threads count by labels. SPDX-License-Identifier: MIT */
#include "common/net_counts.h"

#define WORD(kind, word) #word,
const char *const net_phase_words[NET_PHASE_COUNT] = {NET_PHASES(WORD)};
const char *const net_abort_words[NET_ABORT_COUNT] = {NET_ABORTERS(WORD)};
const char *const net_reject_words[NET_REJECT_COUNT] = {NET_REJECTS(WORD)};
const char *const net_close_words[NET_CLOSE_COUNT] = {NET_CLOSES(WORD)};
const char *const net_fault_words[NET_FAULT_COUNT] = {NET_FAULTS(WORD)};
const char *const net_state_words[NET_STATE_COUNT] = {NET_STATES(WORD)};
#undef WORD

const struct net_handshake net_handshakes[NET_HANDSHAKES] = {
    {"TLSv1.2", "completed", false},
    {"TLSv1.2", "completed", true},
    {"TLSv1.3", "completed", false},
    {"TLSv1.3", "completed", true},
    {"other", "completed", false},
    {"other", "completed", true},
    {"unknown", "failed", false},
};

unsigned
net_handshake_find(const char *version, bool resumed)
{
	unsigned i = 0;

	while (strcmp(net_handshakes[i].version, "other") != 0 &&
	       strcmp(net_handshakes[i].version, version) != 0)
		i += 2;
	return i + resumed;
}
