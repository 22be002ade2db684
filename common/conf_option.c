/* The options as data: the table made from conf.def, and look-ups in it.
 * SPDX-License-Identifier: MIT */
#include "common/conf_option.h"

#include "common/conf_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#define DEFAULT_BOOL(d) .def_num = (d)
#define DEFAULT_INT(d) .def_num = (d)
#define DEFAULT_MS(d) .def_num = (d)
#define DEFAULT_SIZE(d) .def_num = (d)
#define DEFAULT_STR(d) .def_text = (d)
#define DEFAULT_LIST(d) .def_text = (d)

const struct conf_option conf_options[CONF_COUNT] = {
#define OPT(member, long_name, short_name, kind, dflt, lo, hi, placeholder, grp, text)     \
	[CONF_##member] = {                                                                \
	    .name = (long_name),                                                           \
	    .letter = (short_name),                                                        \
	    .type = CONF_T_##kind,                                                         \
	    .group = CONF_G_##grp,                                                         \
	    .offset = offsetof(struct conf, member),                                       \
	    DEFAULT_##kind(dflt),                                                          \
	    .min = (lo),                                                                   \
	    .max = (hi),                                                                   \
	    .arg = (placeholder),                                                          \
	    .help = (text),                                                                \
	},
#include "common/conf.def"
#undef OPT
};

const char *const conf_group_titles[CONF_G_COUNT] = {
    [CONF_G_APP] = "Application",
    [CONF_G_PYTHON] = "Python",
    [CONF_G_SERVER] = "Server",
    [CONF_G_PROCESS] = "Process",
    [CONF_G_MANAGE] = "Generations",
    [CONF_G_CONTROL] = "Control",
    [CONF_G_GATEWAY] = "Gateway",
    [CONF_G_TIMEOUT] = "Timeouts",
    [CONF_G_LIMIT] = "Limits",
    [CONF_G_TLS] = "TLS",
    [CONF_G_PROXY] = "Proxies and headers",
    [CONF_G_LOG] = "Logs",
    [CONF_G_ACCOUNT] = "Accounting",
};

static char
key_char(char c)
{
	return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

const char *
conf_option_key(enum conf_id id, char *buf)
{
	const char *name = conf_options[id].name;
	size_t n = 0;

	for (; name[n] != '\0' && n < CONF_KEY_MAX - 1; n++)
		buf[n] = key_char(name[n]);
	buf[n] = '\0';
	return buf;
}

static bool
same_key(const char *name, struct str key)
{
	size_t i = 0;

	for (; i < key.n && name[i] != '\0'; i++)
		if (key_char(name[i]) != key_char(key.p[i]))
			return false;
	return i == key.n && name[i] == '\0';
}

enum conf_id
conf_option_find(struct str name)
{
	for (unsigned i = 0; i < CONF_COUNT; i++)
		if (same_key(conf_options[i].name, name))
			return (enum conf_id)i;
	return CONF_COUNT;
}

enum conf_id
conf_option_find_letter(char letter)
{
	for (unsigned i = 0; i < CONF_COUNT; i++)
		if (letter != 0 && conf_options[i].letter == letter)
			return (enum conf_id)i;
	return CONF_COUNT;
}

bool
conf_option_is_mode(enum conf_id id)
{
	const char *arg = conf_options[id].arg;

	return arg != NULL && strcmp(arg, "OCTAL") == 0;
}

bool
conf_option_is_choice(enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];

	if (o->type != CONF_T_STR || o->arg == NULL)
		return false;
	for (const char *p = o->arg; *p != '\0'; p++)
		if (isupper((unsigned char)*p))
			return false;
	return true;
}

struct str
conf_option_words(enum conf_id id)
{
	const char *arg = conf_options[id].arg;
	size_t n;

	if (!conf_option_is_choice(id))
		return (struct str){0};
	n = strlen(arg);
	return strncmp(arg, "[=", 2) == 0 ? (struct str){arg + 2, n - 3}
					  : (struct str){arg, n};
}

bool
conf_option_has_word(struct str words, const char *word)
{
	const char *p = words.p, *end;

	if (words.n == 0)
		return false;
	end = p + words.n;
	while (p < end) {
		const char *bar = memchr(p, '|', (size_t)(end - p));
		struct str one = {p, (size_t)((bar ? bar : end) - p)};

		if (one.n > 0 && str_eq(one, str_of(word)))
			return true;
		p = bar ? bar + 1 : end;
	}
	return false;
}

const char *
conf_option_bare_word(enum conf_id id, char *buf)
{
	struct str words = conf_option_words(id);
	size_t n = 0;

	if (words.n == 0 || conf_options[id].arg[0] != '[')
		return NULL;
	for (; n < words.n && words.p[n] != '|' && n < CONF_KEY_MAX - 1; n++)
		buf[n] = words.p[n];
	buf[n] = '\0';
	return buf;
}

const char *
conf_option_default(enum conf_id id, char *buf)
{
	const struct conf_option *o = &conf_options[id];

	switch (o->type) {
	case CONF_T_BOOL:
		return o->def_num ? "true" : "false";
	case CONF_T_STR:
	case CONF_T_LIST:
		return o->def_text ? o->def_text : "";
	case CONF_T_MS:
		return conf_value_duration_text(o->def_num, buf);
	case CONF_T_SIZE:
		return conf_value_size_text(o->def_num, buf);
	default:
		if (conf_option_is_mode(id))
			return conf_value_mode_text(o->def_num, buf);
		snprintf(buf, CONF_KEY_MAX, "%" PRId64, o->def_num);
		return buf;
	}
}

void *
conf_option_member(struct conf *c, enum conf_id id)
{
	return (char *)c + conf_options[id].offset;
}

const void *
conf_option_value(const struct conf *c, enum conf_id id)
{
	return (const char *)c + conf_options[id].offset;
}
