/* Puts one value into one option: reads it by type, checks it, notes where it came from.
 * SPDX-License-Identifier: MIT */
#include "common/conf_set.h"

#include "common/acct_rule.h"
#include "common/bind.h"
#include "common/conf_compat.h"
#include "common/conf_logformat.h"
#include "common/conf_option.h"
#include "common/conf_value.h"
#include "common/log.h"
#include "common/strlist.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

/* What one text must look like beyond its type; the reason goes into `e`. */
typedef int text_check_fn(const char *text, struct err *e);

static int
check_bind(const char *text, struct err *e)
{
	struct bind_addr b;

	return bind_parse(&b, text, e);
}

static int
check_assignment(const char *text, struct err *e)
{
	const char *eq = strchr(text, '=');

	if (eq == NULL || eq == text)
		return err_set(e, "expected NAME=VALUE");
	return 0;
}

static int
check_log_level(const char *text, struct err *e)
{
	if (log_level_parse(text) < 0)
		return err_set(e, "expected debug, info, warning, error or critical");
	return 0;
}

static int
check_absolute(const char *text, struct err *e)
{
	if (*text != '\0' && *text != '/')
		return err_set(e, "expected a path that begins with /");
	return 0;
}

/* Who a client of the control socket is, what it may do, and whose usage it may see. */
static int
check_role(const char *text, struct err *e)
{
	static const char *const kinds[] = {"user:", "group:"};
	static const struct str roles = STR("observer|operator|admin");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]), len;
		const char *eq;
		char role[16];

		if (strncmp(text, kinds[i], n) != 0)
			continue;
		len = strcspn(text + n, ":");
		eq = memrchr(text + n, '=', len);
		if (eq == NULL || eq == text + n)
			break;
		snprintf(
		    role, sizeof(role), "%.*s", (int)(text + n + len - eq - 1), eq + 1);
		if (conf_option_has_word(roles, role) && strcmp(text + n + len, ":") != 0)
			return 0;
	}
	return err_set(e,
	    "expected user:NAME or group:NAME, = and observer, operator or admin, as in "
	    "group:deploy=operator");
}

static int
check_not_empty(const char *text, struct err *e)
{
	return *text != '\0' ? 0 : err_set(e, "expected a path");
}

/* An address or a network of either family. */
static bool
is_network(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	size_t n = strcspn(text, "/");
	unsigned char bytes[sizeof(struct in6_addr)];
	int64_t bits = 0;
	bool four, six;

	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	four = inet_pton(AF_INET, host, bytes) == 1;
	six = inet_pton(AF_INET6, host, bytes) == 1;
	if (text[n] == '/' && conf_value_int(text + n + 1, &bits) != 0)
		return false;
	return (four || six) && bits >= 0 && bits <= (four ? 32 : 128);
}

static int
check_networks(const char *text, struct err *e)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy, *item;

	while (copy != NULL && (item = strsep(&rest, ", ")) != NULL)
		if (*item != '\0' && strcmp(item, "*") != 0 && !is_network(item))
			return err_set(
			    e, "expected addresses or networks separated by commas, or *");
	return 0;
}

static text_check_fn *const text_checks[CONF_COUNT] = {
    [CONF_account_key] = acct_rule_check,
    [CONF_access_logformat] = conf_logformat_check,
    [CONF_bind] = check_bind,
    [CONF_env] = check_assignment,
    [CONF_environ] = check_assignment,
    [CONF_log_level] = check_log_level,
    [CONF_health_path] = check_absolute,
    [CONF_root_path] = check_absolute,
    [CONF_forwarded_allow_ips] = check_networks,
    [CONF_check_url] = check_absolute,
    [CONF_warm_up] = check_absolute,
    [CONF_control_role] = check_role,
    [CONF_control_socket] = check_not_empty,
    [CONF_state_dir] = check_not_empty,
    [CONF_worker_class] = conf_compat_check_class,
};

static int
check_text(enum conf_id id, const char *text, struct err *e)
{
	struct str words = conf_option_words(id);

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return err_set(e, "expected text without control characters");
	if (words.n > 0 && !conf_option_has_word(words, text))
		return err_set(e,
		    memchr(words.p, '|', words.n) ? "expected one of %.*s"
						  : "expected %.*s",
		    (int)words.n, words.p);
	return text_checks[id] ? text_checks[id](text, e) : 0;
}

static int
number_expected(enum conf_id id, struct err *e)
{
	const struct conf_option *o = &conf_options[id];
	char lo[CONF_VALUE_TEXT_MAX], hi[CONF_VALUE_TEXT_MAX];

	switch (o->type) {
	case CONF_T_MS:
		conf_value_duration_text(o->min, lo);
		if (o->max == INT64_MAX)
			return err_set(e,
			    "expected a duration such as 30, 30s or 1h30m, at least %s",
			    lo);
		conf_value_duration_text(o->max, hi);
		return err_set(e,
		    "expected a duration such as 30, 30s or 1h30m, from %s to %s", lo, hi);
	case CONF_T_SIZE:
		conf_value_size_text(o->min, lo);
		if (o->max == INT64_MAX)
			return err_set(e,
			    "expected a size such as 65536, 64k or 1MiB, at least %s", lo);
		conf_value_size_text(o->max, hi);
		return err_set(
		    e, "expected a size such as 65536, 64k or 1MiB, from %s to %s", lo, hi);
	default:
		if (conf_option_is_mode(id))
			return err_set(
			    e, "expected an octal mode with a leading 0, such as 022");
		if (o->max == INT64_MAX)
			return err_set(
			    e, "expected a whole number, at least %" PRId64, o->min);
		return err_set(e, "expected a whole number from %" PRId64 " to %" PRId64,
		    o->min, o->max);
	}
}

static int
store_number(struct conf *c, enum conf_id id, int64_t v, struct err *e)
{
	const struct conf_option *o = &conf_options[id];

	if (v < o->min || v > o->max)
		return number_expected(id, e);
	*(int64_t *)conf_option_member(c, id) = v;
	return 0;
}

static int
parse_number(enum conf_id id, const char *text, int64_t *v)
{
	if (conf_option_is_mode(id))
		return conf_value_mode(text, v);
	if (conf_options[id].type == CONF_T_MS)
		return conf_value_duration(text, v);
	if (conf_options[id].type == CONF_T_SIZE)
		return conf_value_size(text, v);
	return conf_value_int(text, v);
}

/* "true" and "1" for an option that is on, off or something between. */
static const char *
switch_word(enum conf_id id, const char *text)
{
	struct str words = conf_option_words(id);
	bool on;

	if (!conf_option_has_word(words, "on") || conf_value_bool(text, &on) != 0)
		return text;
	return on ? "on" : "off";
}

static int
store_string(struct conf *c, enum conf_id id, const char *text, struct err *e)
{
	char **member = conf_option_member(c, id);
	char *copy = NULL;

	if (text != NULL)
		text = switch_word(id, text);
	if (text != NULL && check_text(id, text, e) != 0)
		return -1;
	if (text != NULL && (copy = strdup(text)) == NULL)
		return err_set(e, "out of memory");
	free(*member);
	*member = copy;
	return 0;
}

static int
store_item(struct conf *c, enum conf_id id, const char *text, struct conf_source *src,
    struct err *e)
{
	struct strlist *l = conf_option_member(c, id);

	if (check_text(id, text, e) != 0)
		return -1;
	if (!src->seen[id])
		strlist_finish(l);
	src->seen[id] = true;
	return strlist_add(l, text) == 0 ? 0 : err_set(e, "out of memory");
}

static int
store_text(struct conf *c, enum conf_id id, const char *text, struct conf_source *src,
    struct err *e)
{
	int64_t v;

	switch (conf_options[id].type) {
	case CONF_T_BOOL:
		if (conf_value_bool(text, conf_option_member(c, id)) != 0)
			return err_set(e, "expected true or false");
		return 0;
	case CONF_T_STR:
		return store_string(c, id, text, e);
	case CONF_T_LIST:
		return store_item(c, id, text, src, e);
	default:
		if (parse_number(id, text, &v) != 0)
			return number_expected(id, e);
		return store_number(c, id, v, e);
	}
}

static int
store_list(struct conf *c, enum conf_id id, const json_t *value, struct conf_source *src,
    struct err *e)
{
	size_t i;
	json_t *item;

	if (!src->seen[id])
		strlist_finish(conf_option_member(c, id));
	src->seen[id] = true;
	json_array_foreach((json_t *)value, i, item)
	{
		if (!json_is_string(item))
			return err_set(e, "expected a list of strings");
		if (store_item(c, id, json_string_value(item), src, e) != 0)
			return -1;
	}
	return 0;
}

static int
store_json_number(struct conf *c, enum conf_id id, const json_t *value,
    const struct conf_source *src, struct err *e)
{
	bool duration = conf_options[id].type == CONF_T_MS;
	double seconds = json_number_value(value);
	int64_t v;

	/* JSON has no octal: 22 in a file is one reader's 022 and another's 026. */
	if (conf_option_is_mode(id) && !src->python)
		return err_set(e, "expected an octal mode as a string, such as \"022\"");
	if (json_is_integer(value)) {
		v = json_integer_value(value);
		if (duration && __builtin_mul_overflow(v, 1000, &v))
			return number_expected(id, e);
		return store_number(c, id, v, e);
	}
	if (!duration || seconds < 0 || seconds > 9e15)
		return number_expected(id, e);
	return store_number(c, id, (int64_t)(seconds * 1000 + 0.5), e);
}

static int
store_json(struct conf *c, enum conf_id id, const json_t *value, struct conf_source *src,
    struct err *e)
{
	enum conf_type type = conf_options[id].type;

	if (json_is_string(value))
		return store_text(c, id, json_string_value(value), src, e);
	switch (type) {
	case CONF_T_BOOL:
		if (!json_is_boolean(value))
			return err_set(e, "expected true or false");
		*(bool *)conf_option_member(c, id) = json_is_true(value);
		return 0;
	case CONF_T_STR:
		if (json_is_boolean(value) &&
		    conf_option_has_word(conf_option_words(id), "on"))
			return store_string(c, id, json_is_true(value) ? "on" : "off", e);
		if (!json_is_null(value))
			return err_set(e, "expected a string");
		if (conf_options[id].def_text != NULL)
			return err_set(e, "expected a string");
		return store_string(c, id, NULL, e);
	case CONF_T_LIST:
		if (!json_is_array(value))
			return err_set(e, "expected a list of strings");
		return store_list(c, id, value, src, e);
	default:
		if (!json_is_number(value))
			return number_expected(id, e);
		return store_json_number(c, id, value, src, e);
	}
}

/* --python and --venv answer one question: a stronger source's answer to either ends what
 * weaker ones said to the other. */
static void
drop_weaker_answer(struct conf *c, enum conf_id id, const struct conf_source *src)
{
	enum conf_id other = id == CONF_python ? CONF_venv : CONF_python;
	char **member = conf_option_member(c, other);

	if ((id != CONF_python && id != CONF_venv) || src->seen[other])
		return;
	free(*member);
	*member = NULL;
	free(c->origin[other]);
	c->origin[other] = NULL;
}

static int
note_origin(struct conf *c, enum conf_id id, struct conf_source *src, struct err *e)
{
	char *copy = src->origin ? strdup(src->origin) : NULL;

	if (src->origin != NULL && copy == NULL)
		return err_set(e, "out of memory");
	free(c->origin[id]);
	c->origin[id] = copy;
	src->seen[id] = true;
	drop_weaker_answer(c, id, src);
	return 0;
}

/* Long values are cut: the message is one line on a terminal. What the environment holds
 * may be secret, and messages go to logs and to clients of the control socket. */
static int
explain(enum conf_id id, const char *value, const char *origin, struct err *e)
{
	const char *shown = id == CONF_env && strchr(value, '=') ? "..." : value;
	const char *quote = shown[0] == '[' || shown[0] == '{' ? "" : "\"";

	return err_wrap(e, "--%s %s%.80s%s%s (%s)", conf_options[id].name, quote, shown,
	    strlen(shown) > 80 ? "..." : "", quote, origin ? origin : "default");
}

int
conf_set_text(struct conf *c, enum conf_id id, const char *text, struct conf_source *src,
    struct err *e)
{
	if (store_text(c, id, text, src, e) != 0)
		return explain(id, text, src->origin, e);
	return note_origin(c, id, src, e);
}

int
conf_set_json(struct conf *c, enum conf_id id, const json_t *value, struct conf_source *src,
    struct err *e)
{
	AUTO_FREE char *dump = NULL;

	if (store_json(c, id, value, src, e) == 0)
		return note_origin(c, id, src, e);
	if (json_is_string(value))
		return explain(id, json_string_value(value), src->origin, e);
	dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	return explain(id, dump ? dump : "?", src->origin, e);
}
