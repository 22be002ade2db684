/* Settings from the environment: SHOAL_*, and what platforms and gunicorn users set.
 * SPDX-License-Identifier: MIT */
#include "common/conf_env.h"

#include "common/conf_compat.h"
#include "common/conf_option.h"
#include "common/conf_set.h"
#include "common/strlist.h"

#include <ctype.h>
#include <stdio.h>

#define PREFIX "SHOAL_"

extern char **environ;

/* SHOAL_ names that are no options. */
static const char *const other_names[] = {"APP", "CONFIG"};

const char *
conf_env_get(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && *v != '\0' ? v : NULL;
}

static int
set_if_present(struct conf *c, enum conf_id id, const char *name, struct err *e)
{
	struct conf_source src = {.origin = name};
	const char *v = conf_env_get(name);

	return v ? conf_set_text(c, id, v, &src, e) : 0;
}

/* systemd's StateDirectory=: a list, of which the first one is taken. */
static int
set_state_directory(struct conf *c, struct err *e)
{
	struct conf_source src = {.origin = "STATE_DIRECTORY"};
	const char *list = conf_env_get(src.origin);
	AUTO_FREE char *first = list ? strndup(list, strcspn(list, ":")) : NULL;

	if (list == NULL)
		return 0;
	if (first == NULL)
		return err_set(e, "out of memory");
	return conf_set_text(c, CONF_state_dir, first, &src, e);
}

int
conf_env_defaults(struct conf *c, struct err *e)
{
	struct conf_source src = {.origin = "PORT"};
	const char *port = conf_env_get("PORT");
	char bind[64];

	if (port != NULL) {
		snprintf(bind, sizeof(bind), "0.0.0.0:%s", port);
		if (conf_set_text(c, CONF_bind, bind, &src, e) != 0)
			return -1;
	}
	if (set_if_present(c, CONF_workers, "WEB_CONCURRENCY", e) != 0)
		return -1;
	if (set_state_directory(c, e) != 0)
		return -1;
	return set_if_present(c, CONF_forwarded_allow_ips, "FORWARDED_ALLOW_IPS", e);
}

static int
set_list(struct conf *c, enum conf_id id, const char *text, struct conf_source *src,
    struct err *e)
{
	/* A value of an environment variable may hold a comma; a line break it hardly does.
	 */
	const char *separator = strcmp(conf_options[id].arg, "K=V") == 0 ? "\n" : ",";
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy, *item;

	if (copy == NULL)
		return err_set(e, "out of memory");
	while ((item = strsep(&rest, separator)) != NULL) {
		while (isspace((unsigned char)*item))
			item++;
		if (*item != '\0' && conf_set_text(c, id, item, src, e) != 0)
			return -1;
	}
	return 0;
}

static void
notice_unknown(struct str name, struct strlist *notices)
{
	const struct compat *k;
	const char *near;
	char lower[CONF_KEY_MAX];
	size_t n = MIN(name.n, sizeof(lower) - 1);

	for (size_t i = 0; i < n; i++)
		lower[i] = name.p[i] == '_' ? '-' : (char)tolower((unsigned char)name.p[i]);
	lower[n] = '\0';
	k = conf_compat_find((struct str){lower, n});
	if (k != NULL && k->kind != COMPAT_ALIAS && k->sentence != NULL) {
		strlist_addf(notices, PREFIX "%.*s: %s", (int)name.n, name.p, k->sentence);
		return;
	}
	near = conf_compat_nearest((struct str){lower, n}, false);
	strlist_addf(notices, PREFIX "%.*s: ignored, there is no such option%s%s%s",
	    (int)MIN(name.n, 64), name.p, near ? "; did you mean --" : "", near ? near : "",
	    near ? "?" : "");
}

static bool
is_other_name(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(other_names); i++)
		if (str_eq(str_of(other_names[i]), name))
			return true;
	return false;
}

int
conf_env_apply(struct conf *c, struct strlist *notices, struct err *e)
{
	struct conf_source src = {0};
	char origin[sizeof(PREFIX) + CONF_KEY_MAX];

	for (char **p = environ; p != NULL && *p != NULL; p++) {
		const char *eq = strchr(*p, '=');
		struct str name;
		enum conf_id id;
		int rc;

		if (strncmp(*p, PREFIX, strlen(PREFIX)) != 0 || eq == NULL || eq[1] == '\0')
			continue;
		name.p = *p + strlen(PREFIX);
		name.n = (size_t)(eq - name.p);
		if (is_other_name(name))
			continue;
		id = conf_option_find(name);
		if (id == CONF_COUNT) {
			notice_unknown(name, notices);
			continue;
		}
		snprintf(origin, sizeof(origin), PREFIX "%.*s", (int)name.n, name.p);
		src.origin = origin;
		rc = conf_options[id].type == CONF_T_LIST
			 ? set_list(c, id, eq + 1, &src, e)
			 : conf_set_text(c, id, eq + 1, &src, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

/* One word from `p` on into `out`; returns where it ended, NULL for an open quote. */
static const char *
split_word(const char *p, char *out)
{
	char quote = 0;

	for (; *p != '\0' && (quote != 0 || !isspace((unsigned char)*p)); p++) {
		bool escape = *p == '\\' && quote != '\'' && p[1] != '\0' &&
			      (quote == 0 || p[1] == '"' || p[1] == '\\');

		if (escape)
			*out++ = *++p;
		else if (quote != 0 ? *p == quote : *p == '"' || *p == '\'')
			quote = quote != 0 ? 0 : *p;
		else
			*out++ = *p;
	}
	*out = '\0';
	return quote == 0 ? p : NULL;
}

int
conf_env_split(const char *text, struct strlist *words, struct err *e)
{
	AUTO_FREE char *word = malloc(strlen(text) + 1);
	const char *p = text;

	if (word == NULL)
		return err_set(e, "out of memory");
	for (;;) {
		while (isspace((unsigned char)*p))
			p++;
		if (*p == '\0')
			return 0;
		p = split_word(p, word);
		if (p == NULL)
			return err_set(e, "a quote is not closed");
		if (strlist_add(words, word) != 0)
			return err_set(e, "out of memory");
	}
}
