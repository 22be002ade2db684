/* Which of the fields in fields.def a name is, in any case.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/http/head.h"

#define FIELD_BIT(id) ((uint64_t)1 << FIELD_##id)

/* Bits of the fields that may come only once. */
extern const uint64_t fields_unique;

/* name: a token of at least one byte; FIELD_OTHER when it is none of them. */
enum field_id fields_lookup(struct str name);
/* Lower-case name of an id, "" for FIELD_OTHER. */
struct str fields_name(enum field_id id);
