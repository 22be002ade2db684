/* Known request fields by a perfect hash of length, first and last letter.
 * SPDX-License-Identifier: MIT */
#include "common/http/fields.h"

#include "common/http/chars.h"

_Static_assert(FIELD_COUNT <= 64, "struct head keeps a bit per field");

#define NAME_MAX_KNOWN 24

static const struct known {
	char name[NAME_MAX_KNOWN];
	uint8_t len;
} known[FIELD_COUNT] = {
#define FIELD(id, name, flags) [FIELD_##id] = {name, sizeof(name) - 1},
#include "common/http/fields.def"
#undef FIELD
};

const uint64_t fields_unique = 0
#define FIELD(id, name, flags) | ((flags)&FIELD_UNIQUE ? FIELD_BIT(id) : 0)
#include "common/http/fields.def"
#undef FIELD
    ;

/* No two known names may share a slot: the unit test fails, and says which, when a new line
 * in fields.def needs other factors below. */
static const uint8_t slots[128] = {
    [16] = FIELD_CACHE_CONTROL,
    [24] = FIELD_ACCEPT_ENCODING,
    [39] = FIELD_X_FORWARDED_SSL,
    [41] = FIELD_REFERER,
    [43] = FIELD_TRAILER,
    [44] = FIELD_X_FORWARDED_PROTOCOL,
    [45] = FIELD_TRANSFER_ENCODING,
    [49] = FIELD_CONTENT_LENGTH,
    [54] = FIELD_IF_NONE_MATCH,
    [55] = FIELD_X_FORWARDED_FOR,
    [61] = FIELD_CONNECTION,
    [62] = FIELD_AUTHORIZATION,
    [69] = FIELD_ORIGIN,
    [71] = FIELD_ACCEPT,
    [75] = FIELD_EXPECT,
    [76] = FIELD_HOST,
    [77] = FIELD_PROXY,
    [79] = FIELD_FORWARDED,
    [95] = FIELD_USER_AGENT,
    [97] = FIELD_COOKIE,
    [103] = FIELD_CONTENT_TYPE,
    [104] = FIELD_ACCEPT_LANGUAGE,
    [109] = FIELD_KEEP_ALIVE,
    [110] = FIELD_TE,
    [111] = FIELD_RANGE,
    [113] = FIELD_X_FORWARDED_PROTO,
    [114] = FIELD_IF_MODIFIED_SINCE,
    [116] = FIELD_UPGRADE,
};

static inline uint64_t
word_at(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Among token characters only an upper-case letter becomes a known one by 0x20: `-` would
 * also come from CR, which no token contains. Both are of the same length n >= 2. */
static inline bool
same_name(const char *name, const char *lower, size_t n)
{
	uint64_t diff = 0;

	if (n >= 8) {
		for (size_t i = 0; n - i > 8; i += 8)
			diff |= (word_at(name + i) | CHARS_EACH(0x20)) ^ word_at(lower + i);
		diff |= (word_at(name + n - 8) | CHARS_EACH(0x20)) ^ word_at(lower + n - 8);
		return diff == 0;
	}
	for (size_t i = 0; i < n; i++)
		diff |= (uint64_t)((name[i] | 0x20) ^ lower[i]);
	return diff == 0;
}

enum field_id
fields_lookup(struct str name)
{
	unsigned first = (unsigned char)name.p[0] | 0x20;
	unsigned last = (unsigned char)name.p[name.n - 1] | 0x20;
	const struct known *k;
	enum field_id id;

	id = slots[((unsigned)name.n + first + last * 24) & (ARRAY_LEN(slots) - 1)];
	k = &known[id];
	if (name.n != k->len || !same_name(name.p, k->name, name.n))
		return FIELD_OTHER;
	return id;
}

struct str
fields_name(enum field_id id)
{
	return (struct str){known[id].name, known[id].len};
}
