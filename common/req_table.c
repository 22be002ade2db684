/* A hash table without removal, and the words for what it holds.
 * SPDX-License-Identifier: MIT */
#include "common/req_table.h"

/* So many cells are looked at: however full the table is, a request costs little. */
#define PROBES 32
#define CODE_MAX 599

const char *const req_methods[REQ_METHODS] = {"other", "GET", "HEAD", "POST", "PUT",
    "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"};

/* Final ones of the IANA registry, and 499: the client left before there was an answer. */
const uint16_t req_codes[REQ_CODES] = {0, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
    300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
    409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424, 425, 426, 428,
    429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511};

unsigned
req_method_search(struct str name)
{
	for (unsigned i = 1; i < REQ_METHODS; i++)
		if (strlen(req_methods[i]) == name.n &&
		    memcmp(req_methods[i], name.p, name.n) == 0)
			return i;
	return REQ_METHOD_OTHER;
}

unsigned
req_code_find(int status)
{
	unsigned low = 1, high = REQ_CODES;

	if (LIKELY(status == 200))
		return 1;
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (req_codes[middle] < status)
			low = middle + 1;
		else
			high = middle;
	}
	return low < REQ_CODES && req_codes[low] == status ? low : REQ_CODE_OTHER;
}

bool
req_key_read(uint32_t key, struct req_kind *kind)
{
	*kind = (struct req_kind){key >> 16 & 0x7fff, key >> 8 & 0xff, key & 0xff};
	return key >> 31 == 1 && kind->listener < REQ_TABLE_LISTENERS &&
	       kind->method < REQ_METHODS && kind->code < REQ_CODES;
}

_Atomic uint64_t *
req_table_find(struct req_table *t, uint32_t key)
{
	struct req_kind kind = {0};
	uint32_t at = key * 2654435761u >> 16;

	/* A listener beyond those that have a name is the last one. */
	if (!req_key_read(key, &kind))
		return &t->other[REQ_TABLE_LISTENERS - 1];
	if (kind.method == REQ_METHOD_OTHER && kind.code == REQ_CODE_OTHER)
		return &t->other[kind.listener];
	for (unsigned i = 0; i < PROBES; i++, at++) {
		struct req_cell *c = &t->cell[at % REQ_TABLE_CELLS];
		uint32_t taken = atomic_load_explicit(&c->key, memory_order_relaxed);

		if (taken == 0)
			atomic_store_explicit(&c->key, key, memory_order_relaxed);
		if (taken == 0 || taken == key)
			return &c->n;
	}
	return &t->other[kind.listener];
}
