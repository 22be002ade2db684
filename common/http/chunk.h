/* Chunked transfer coding, decoded in place and strictly (RFC 9112 7.1).
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

enum chunk_result { CHUNK_MORE, CHUNK_DATA, CHUNK_DONE, CHUNK_ERROR };

#define CHUNK_EXT_MAX 4096      /* extension bytes per message */
#define CHUNK_TRAILER_MAX 8192  /* trailer bytes per message */

struct chunk {
	uint8_t state;
	uint8_t digits;
	uint8_t sub;           /* position inside a quoted string, a trailer name ... */
	uint32_t ext_bytes, trailer_bytes;
	uint64_t left;         /* of the current chunk's data */
	char name[24];         /* start of the current trailer's name, to know forbidden ones */
	uint8_t name_len;
	const char *reason;    /* on CHUNK_ERROR: fixed words; the status is always 400 */
};

void chunk_init(struct chunk *c);

/* One step over buf[0..len): *used bytes are done with; CHUNK_DATA: *data is a part of buf
 * (and of used). CHUNK_DONE: the last CRLF was used. Trailers are validated, discarded. */
enum chunk_result chunk_decode(struct chunk *c, const char *buf, size_t len, size_t *used,
    struct str *data);
