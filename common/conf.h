/* The configuration: one struct made from conf.def, and where each value came from.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <jansson.h>

struct strlist {
	char **v; /* owned */
	size_t n;
};

enum conf_id {
#define OPT(member, ...) CONF_##member,
#include "common/conf.def"
#undef OPT
	CONF_COUNT
};

#define CONF_TYPE_BOOL bool
#define CONF_TYPE_INT int64_t
#define CONF_TYPE_MS int64_t
#define CONF_TYPE_SIZE int64_t
#define CONF_TYPE_STR char *
#define CONF_TYPE_LIST struct strlist

struct conf {
#define OPT(member, name, shrt, type, ...) CONF_TYPE_##type member;
#include "common/conf.def"
#undef OPT
	char *app;                /* owned; the APP argument */
	char *config_file;        /* owned; absolute; NULL: none was read */
	bool hooks;               /* it is Python and has functions a worker calls */
	char *origin[CONF_COUNT]; /* owned; "command line", "shop.json:3:14"; NULL = default
				   */
};

/* Every member at its default. */
void conf_init(struct conf *c);
void conf_finish(struct conf *c);
/* Hands everything over; `from` is left empty. */
void conf_move(struct conf *to, struct conf *from);
/* Every value and where it came from. `to` is initialised here, also on failure. */
NODISCARD int conf_copy(struct conf *to, const struct conf *from, struct err *e);

/* What an operator calls this instance: --name, or else APP. Borrowed. */
const char *conf_instance_name(const struct conf *c);

/* The whole configuration as a JSON object (new reference; NULL without memory), and back:
 * every option by its key, and app, config_file, hooks.
 * What the master hands to a worker, and --print-config. */
#define CONF_JSON_MEMBERS (CONF_COUNT + 3)
json_t *conf_to_json(const struct conf *c);
NODISCARD int conf_from_json(struct conf *c, const json_t *obj, struct err *e);
/* The same with where each value came from: for another process of the master's. */
json_t *conf_save(const struct conf *c);
NODISCARD int conf_restore(struct conf *c, const json_t *obj, struct err *e);
