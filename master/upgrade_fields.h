/* The members of the master's structs that survive an upgrade, for the one who writes them
 * and the one who reads them. SPDX-License-Identifier: MIT */
#pragma once

#include "common/fields.h"
#include "master/master.h"
#include "master/mold.h"

#define UNSIGNED(type, member) FIELD_OF(type, member, FIELD_UNSIGNED, 0, UINT32_MAX)
#define UP_TO(type, member, highest) FIELD_OF(type, member, FIELD_UNSIGNED, 0, (highest)-1)
#define FD(type, member) FIELD_OF(type, member, FIELD_SIGNED, -1, INT32_MAX)
#define TIME(type, member) FIELD_OF(type, member, FIELD_SIGNED, INT64_MIN, INT64_MAX)
#define NATURAL(type, member) FIELD_OF(type, member, FIELD_UNSIGNED, 0, INT64_MAX)
#define FLAG(type, member) FIELD_OF(type, member, FIELD_BOOL, 0, 0)
#define TEXT(type, member) FIELD_OF(type, member, FIELD_TEXT, 0, 0)
#define REAL(type, member) FIELD_OF(type, member, FIELD_REAL, 0, 0)
#define PID(type, member) FIELD_OF(type, member, FIELD_SIGNED, 0, INT32_MAX)

static const struct json_field upgrade_proc_fields[] = {
    UP_TO(struct proc, slot, FLEET_MAX),
    UNSIGNED(struct proc, epoch),
    UP_TO(struct proc, line, FLEET_LINES),
    UP_TO(struct proc, state, LIFE_DEAD),
    UP_TO(struct proc, reason, PROC_REASONS),
    PID(struct proc, pid),
    FD(struct proc, channel),
    FD(struct proc, seg_fd),
    FD(struct proc, trace_fd),
    FD(struct proc, accounts_fd),
    TIME(struct proc, born_ms),
    REAL(struct proc, born_at),
    TIME(struct proc, ready_ms),
    TIME(struct proc, since_ms),
    UNSIGNED(struct proc, idle_ms),
    UNSIGNED(struct proc, graceful_ms),
    FLAG(struct proc, was_ready),
    FLAG(struct proc, failed),
    FLAG(struct proc, expected),
    FLAG(struct proc, parked),
    FLAG(struct proc, park_old),
    UP_TO(struct proc, why_old, PROC_REASONS),
    TIME(struct proc, drain_old_ms),
    FLAG(struct proc, accept_rest),
    FLAG(struct proc, announce),
};

static const struct json_field upgrade_slot_fields[] = {
    UP_TO(struct slot, index, FLEET_MAX),
    UNSIGNED(struct slot, epoch),
    UNSIGNED(struct slot, restarts),
    TEXT(struct slot, last_cause),
    UP_TO(struct slot, why, SPAWN_REASONS),
    UP_TO(struct slot, last_reason, PROC_REASONS),
    REAL(struct slot, last_at),
    UNSIGNED(struct slot, backoff.failures),
#define COUNT(stat, ...) NATURAL(struct slot, base.stat),
#include "master/slot_counts.def"
#undef COUNT
    NATURAL(struct slot, base.user_ticks),
    NATURAL(struct slot, base.system_ticks),
};

static const struct json_field upgrade_mold_fields[] = {
    UP_TO(struct mold, state, MOLD_GONE + 1),
    PID(struct mold, pid),
    FD(struct mold, channel),
    TIME(struct mold, born_ms),
    TEXT(struct mold, unsafe),
};

static const struct json_field upgrade_generation_fields[] = {
    UNSIGNED(struct generation, number),
    REAL(struct generation, loaded_at),
};

static const struct json_field upgrade_listener_fields[] = {
    FIELD_OF(struct listener, fd, FIELD_SIGNED, 0, INT32_MAX),
    FLAG(struct listener, is_unix),
    FLAG(struct listener, made),
    FLAG(struct listener, stored),
    TEXT(struct listener, name),
    TEXT(struct listener, path),
    NATURAL(struct listener, dev),
    NATURAL(struct listener, ino),
};

static const struct json_field upgrade_instance_fields[] = {
    REAL(struct master, started),
    UNSIGNED(struct master, last_generation),
    FIELD_OF(struct master, fleet.wanted, FIELD_UNSIGNED, 1, FLEET_MAX),
    NATURAL(struct master, events.seq),
    FIELD_OF(struct master, fleet.spawn.board_fd, FIELD_SIGNED, 0, INT32_MAX),
};
