/* Requests by listener, method and status: a table of bounded size in the segment of a
 * worker, which alone writes it. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <stdatomic.h>

#define REQ_TABLE_LISTENERS 64
#define REQ_TABLE_CELLS 512 /* a power of two */

/* Both begin with `other`. */
enum { REQ_METHOD_OTHER, REQ_METHODS = 10 };
enum { REQ_CODE_OTHER, REQ_CODES = 60 };

/* Of all methods and codes there are, those with a name. */
extern const char *const req_methods[REQ_METHODS];
extern const uint16_t req_codes[REQ_CODES]; /* ascending; [REQ_CODE_OTHER]: 0 */

/* Of what is counted together; 0 is none. */
struct req_kind {
	unsigned listener, method, code; /* places of the lists above */
};

struct req_cell {
	_Atomic uint32_t key; /* 0: free; set once */
	_Atomic uint64_t n;
};

struct req_table {
	/* By listener: other methods with other codes, and what found no cell. */
	_Atomic uint64_t other[REQ_TABLE_LISTENERS];
	struct req_cell cell[REQ_TABLE_CELLS];
};

unsigned req_method_search(struct str name);
unsigned req_code_find(int status);

/* Most are the first. */
static inline unsigned
req_method_find(struct str name)
{
	if (LIKELY(name.n == 3 && memcmp(name.p, "GET", 3) == 0))
		return 1;
	return req_method_search(name);
}

static inline uint32_t
req_key(unsigned listener, unsigned method, unsigned code)
{
	return 1u << 31 | listener << 16 | method << 8 | code;
}

/* False: no key this program makes. */
bool req_key_read(uint32_t key, struct req_kind *kind);
/* The writer's: where requests of this key count, for good. */
_Atomic uint64_t *req_table_find(struct req_table *t, uint32_t key);
