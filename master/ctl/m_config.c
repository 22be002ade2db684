/* config.get, config.schema, config.check, config.diff: what the options are, could be, and
 * would be after a reload. SPDX-License-Identifier: MIT */
#include "common/conf_option.h"
#include "master/ctl/server.h"
#include "master/ctl/mask.h"
#include "master/master.h"
#include "master/minder.h"

#define CHECK_WAIT_MS 10000

/* ---- config.get ---- */

/* The values by key, secrets masked. */
static json_t *
values_of(const struct conf *c)
{
	json_t *values = conf_to_json(c);
	char key[CONF_KEY_MAX];

	for (unsigned i = 0; values != NULL && i < CONF_COUNT; i++)
		if (conf_options[i].type == CONF_T_LIST)
			mask_assignments(
			    json_object_get(values, conf_option_key((enum conf_id)i, key)));
	return values;
}

static json_t *
source_of(const struct conf *c, enum conf_id id)
{
	return json_string(c->origin[id] != NULL ? c->origin[id] : "default");
}

static json_t *
revision_of(const struct master *m, const json_t *values)
{
	return json_sprintf("c%u-%08x", m->fleet.gen->number, ctl_digest(values));
}

json_t *
ctl_config_revision(const struct master *m)
{
	json_t *values = values_of(master_conf(m));
	json_t *revision = revision_of(m, values);

	json_decref(values);
	return revision;
}

int
ctl_config_get(struct ctl_call *call)
{
	const struct conf *c = master_conf(call->master);
	const char *path = ctl_param_str(call, "path", NULL);
	enum conf_id only = path ? conf_option_find(str_of(path)) : CONF_COUNT;
	json_t *values, *all, *revision;
	char key[CONF_KEY_MAX];

	if (path != NULL && only == CONF_COUNT)
		return ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:s}", "what", path),
		    "no option %s: config.schema lists them", path);
	values = values_of(c);
	revision = revision_of(call->master, values);
	all = json_object();
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		json_t *v;

		if (only != CONF_COUNT && i != only)
			continue;
		conf_option_key((enum conf_id)i, key);
		v = json_pack("{s:O, s:o}", "value", json_object_get(values, key), "source",
		    source_of(c, (enum conf_id)i));
		if (only != CONF_COUNT) {
			json_decref(all);
			all = v;
			break;
		}
		json_object_set_new(all, key, v);
	}
	json_decref(values);
	if (only == CONF_COUNT)
		all = json_pack("{s:o}", "options", all);
	json_object_set_new(all, "revision", revision);
	return ctl_reply(call, all);
}

/* ---- config.schema ---- */

static const char *const type_names[] = {
    [CONF_T_BOOL] = "boolean",
    [CONF_T_INT] = "integer",
    [CONF_T_MS] = "duration",
    [CONF_T_SIZE] = "size",
    [CONF_T_STR] = "string",
    [CONF_T_LIST] = "strings",
};

static json_t *
words_of(const char *arg)
{
	json_t *list = json_array();

	for (const char *p = arg; *p != '\0';) {
		size_t n = strcspn(p, "|");

		json_array_append_new(list, json_stringn(p, n));
		p += n + (p[n] == '|');
	}
	return list;
}

static json_t *
option_to_json(enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];
	double unit = o->type == CONF_T_MS ? 1000 : 1;
	char text[CONF_KEY_MAX];
	json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:s}", "option", o->name, "type",
	    type_names[o->type], "group", conf_group_titles[o->group], "default",
	    conf_option_default(id, text), "help", o->help);

	if (conf_option_is_choice(id))
		json_object_set_new(v, "words", words_of(o->arg));
	else if (o->arg != NULL)
		json_object_set_new(v, "arg", json_string(o->arg));
	if (o->type == CONF_T_INT || o->type == CONF_T_MS || o->type == CONF_T_SIZE) {
		json_object_set_new(v, "min", json_real((double)o->min / unit));
		if (o->max != INT64_MAX)
			json_object_set_new(v, "max", json_real((double)o->max / unit));
	}
	return v;
}

int
ctl_config_schema(struct ctl_call *call)
{
	json_t *options = json_object();
	char key[CONF_KEY_MAX];

	for (unsigned i = 0; i < CONF_COUNT; i++)
		json_object_set_new(options, conf_option_key((enum conf_id)i, key),
		    option_to_json((enum conf_id)i));
	return ctl_reply(call, json_pack("{s:o}", "options", options));
}

/* ---- config.check ---- */

static void
on_check_end(struct ctl_call *call)
{
	checker_forget(&call->master->minder->checker, call);
}

static json_t *
lines_to_json(const struct strlist *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, ctl_text(str_of(l->v[i])));
	return list;
}

static json_t *
refusal_to_json(const char *why)
{
	struct checker_place place;
	json_t *v;

	checker_find_place(why, &place);
	v = json_pack("{s:o}", "message", ctl_text(str_of(why)));
	if (place.key[0] != '\0')
		json_object_set_new(v, "path", json_string(place.key));
	if (place.line > 0) {
		json_object_set_new(v, "line", json_integer(place.line));
		json_object_set_new(v, "column", json_integer(place.column));
	}
	return v;
}

static void
on_checked(void *ctx, const struct preflight_result *r)
{
	json_t *v = json_pack("{s:b, s:[], s:o}", "ok", r->conf != NULL, "errors",
	    "notices", lines_to_json(&r->notices));

	if (r->conf == NULL)
		json_array_append_new(
		    json_object_get(v, "errors"), refusal_to_json(r->why));
	if (r->said.n > 0)
		json_object_set_new(v, "said", ctl_text(r->said));
	ctl_reply(ctx, v);
}

static int
start_check(struct ctl_call *call, const char *file, checker_fn *on_done)
{
	struct err e = {""};

	if (checker_start(&call->master->minder->checker, file, on_done, call, &e) < 0)
		return ctl_fail(call, CTL_E_OVERLOADED,
		    json_pack("{s:i}", "retry_ms", CHECK_WAIT_MS), "%s", e.text);
	return ctl_defer(
	    call, ctl_param_ms(call, "wait_s", CHECK_WAIT_MS), on_check_end, NULL);
}

int
ctl_config_check(struct ctl_call *call)
{
	const char *file = ctl_param_str(call, "file", NULL);

	/* It is read with the master's rights, and one in Python is run with them. */
	if (file != NULL && call->peer.role < CTL_ADMIN)
		return ctl_fail(call, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s, s:s, s:s}", "role", ctl_role_name(call->peer.role),
			"needs", ctl_role_name(CTL_ADMIN), "param", "file"),
		    "config.check: another file needs the role admin, because it is read "
		    "with the server's rights");
	return start_check(call, file, on_checked);
}

/* ---- config.diff ---- */

static json_t *
change_to_json(const struct conf *old, const struct conf *new,
    const struct preflight_change *change, json_t *before, json_t *after)
{
	char key[CONF_KEY_MAX] = "app";

	if (change->id < CONF_COUNT)
		conf_option_key(change->id, key);
	return json_pack("{s:s, s:O, s:O, s:o, s:o, s:s}", "path", key, "running",
	    json_object_get(before, key), "file", json_object_get(after, key),
	    "running_source",
	    change->id < CONF_COUNT ? source_of(old, change->id) : json_null(), "source",
	    change->id < CONF_COUNT ? source_of(new, change->id) : json_null(), "takes",
	    change->effect == EFFECT_RELOAD ? "reload" : "restart");
}

static void
on_compared(void *ctx, const struct preflight_result *r)
{
	struct ctl_call *call = ctx;
	const struct conf *old = master_conf(call->master);
	struct preflight_change changes[CONF_COUNT + 1];
	json_t *before, *after, *list;
	size_t n;

	if (r->conf == NULL) {
		ctl_fail(
		    call, CTL_E_FAILED_PRECONDITION, refusal_to_json(r->why), "%s", r->why);
		return;
	}
	n = preflight_changed(old, r->conf, changes);
	before = values_of(old);
	after = values_of(r->conf);
	list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(
		    list, change_to_json(old, r->conf, &changes[i], before, after));
	json_decref(before);
	json_decref(after);
	ctl_reply(call, json_pack("{s:o}", "changes", list));
}

int
ctl_config_diff(struct ctl_call *call)
{
	return start_check(call, NULL, on_compared);
}
