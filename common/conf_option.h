/* The options as data: what conf.def says about each one.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

enum conf_type {
	CONF_T_BOOL,
	CONF_T_INT,
	CONF_T_MS,
	CONF_T_SIZE,
	CONF_T_STR,
	CONF_T_LIST,
};

/* In the order of conf.def, --help and the manual. */
enum conf_group {
	CONF_G_APP,
	CONF_G_PYTHON,
	CONF_G_SERVER,
	CONF_G_PROCESS,
	CONF_G_MANAGE,
	CONF_G_CONTROL,
	CONF_G_GATEWAY,
	CONF_G_TIMEOUT,
	CONF_G_LIMIT,
	CONF_G_TLS,
	CONF_G_PROXY,
	CONF_G_LOG,
	CONF_G_ACCOUNT,
	CONF_G_COUNT
};

struct conf_option {
	const char *name; /* long name, without dashes */
	char letter;      /* short name, 0: none */
	enum conf_type type;
	enum conf_group group;
	size_t offset; /* of the member in struct conf */
	int64_t def_num;
	const char *def_text; /* NULL: unset */
	int64_t min, max;
	const char
	    *arg; /* placeholder; without capitals it lists the values: "auto|embed" */
	const char *help;
};

extern const struct conf_option conf_options[CONF_COUNT];
extern const char *const conf_group_titles[CONF_G_COUNT];

#define CONF_KEY_MAX 64

/* The key in a config file: the long name with `_` for `-`. buf holds CONF_KEY_MAX. */
const char *conf_option_key(enum conf_id id, char *buf);
/* By long name or key, `-` and `_` and case alike; CONF_COUNT when there is none. */
enum conf_id conf_option_find(struct str name);
enum conf_id conf_option_find_letter(char letter);
/* True for an option whose text is an octal file mode. */
bool conf_option_is_mode(enum conf_id id);
/* True for an option that takes one of the words in `arg`. */
bool conf_option_is_choice(enum conf_id id);
/* The words such an option takes, "auto|embed"; empty for any other. */
struct str conf_option_words(enum conf_id id);
/* Whether `word` is one of `words`, which are separated by bars. */
bool conf_option_has_word(struct str words, const char *word);
/* The word that an option stands for when it is written without a value, "on" for
 * --preload; buf holds CONF_KEY_MAX. NULL: the value cannot be left out. */
const char *conf_option_bare_word(enum conf_id id, char *buf);
/* The default as a config file has it, "" for none; switches are "true" and "false". buf
 * holds CONF_KEY_MAX. */
const char *conf_option_default(enum conf_id id, char *buf);
/* Where the option lives in `c`. */
void *conf_option_member(struct conf *c, enum conf_id id);
const void *conf_option_value(const struct conf *c, enum conf_id id);
