/* SipHash-1-3: a keyed hash of short strings that strangers choose.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t n);
