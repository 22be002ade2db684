/* The configuration: its defaults, its memory, and its way through JSON.
 * SPDX-License-Identifier: MIT */
#include "common/conf.h"

#include "common/conf_option.h"
#include "common/conf_set.h"
#include "common/conf_value.h"
#include "common/strlist.h"

static void
init_member(struct conf *c, enum conf_id id)
{
	const struct conf_option *o = &conf_options[id];
	void *member = conf_option_member(c, id);

	switch (o->type) {
	case CONF_T_BOOL:
		*(bool *)member = o->def_num != 0;
		break;
	case CONF_T_STR:
		/* Without memory for a few defaults at start-up there is nobody to tell. */
		if (o->def_text != NULL && (*(char **)member = strdup(o->def_text)) == NULL)
			abort();
		break;
	case CONF_T_LIST:
		break;
	default:
		*(int64_t *)member = o->def_num;
	}
}

void
conf_init(struct conf *c)
{
	memset(c, 0, sizeof(*c));
	for (unsigned i = 0; i < CONF_COUNT; i++)
		init_member(c, (enum conf_id)i);
}

const char *
conf_instance_name(const struct conf *c)
{
	return c->name != NULL ? c->name : c->app != NULL ? c->app : "";
}

void
conf_finish(struct conf *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		void *member = conf_option_member(c, (enum conf_id)i);

		if (conf_options[i].type == CONF_T_STR)
			free(*(char **)member);
		else if (conf_options[i].type == CONF_T_LIST)
			strlist_finish(member);
		free(c->origin[i]);
	}
	free(c->app);
	free(c->config_file);
	memset(c, 0, sizeof(*c));
}

void
conf_move(struct conf *to, struct conf *from)
{
	*to = *from;
	memset(from, 0, sizeof(*from));
}

static json_t *
list_to_json(const struct strlist *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->n; i++)
		if (json_array_append_new(a, json_string(l->v[i])) != 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

/* In the form a config file takes: what is printed can be read back. */
static json_t *
value_to_json(const struct conf *c, enum conf_id id)
{
	const void *member = conf_option_value(c, id);
	char text[CONF_VALUE_TEXT_MAX];

	switch (conf_options[id].type) {
	case CONF_T_BOOL:
		return json_boolean(*(const bool *)member);
	case CONF_T_STR:
		if (*(char *const *)member == NULL)
			return json_null();
		return json_string(*(char *const *)member);
	case CONF_T_LIST:
		return list_to_json(member);
	case CONF_T_MS:
		return json_string(
		    conf_value_duration_text(*(const int64_t *)member, text));
	default:
		if (!conf_option_is_mode(id))
			return json_integer(*(const int64_t *)member);
		return json_string(conf_value_mode_text(*(const int64_t *)member, text));
	}
}

static json_t *
text_to_json(const char *text)
{
	return text != NULL ? json_string(text) : json_null();
}

json_t *
conf_to_json(const struct conf *c)
{
	json_t *obj = json_object();
	char key[CONF_KEY_MAX];

	if (json_object_set_new(obj, "app", text_to_json(c->app)) != 0 ||
	    json_object_set_new(obj, "config_file", text_to_json(c->config_file)) != 0 ||
	    json_object_set_new(obj, "hooks", json_boolean(c->hooks)) != 0)
		goto fail;
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		conf_option_key((enum conf_id)i, key);
		if (json_object_set_new(obj, key, value_to_json(c, (enum conf_id)i)) != 0)
			goto fail;
	}
	return obj;
fail:
	json_decref(obj);
	return NULL;
}

static int
text_from_json(char **member, const char *key, const json_t *value, struct err *e)
{
	char *copy = NULL;

	if (!json_is_string(value) && !json_is_null(value))
		return err_set(e, "%s: expected a string", key);
	if (json_is_string(value) && (copy = strdup(json_string_value(value))) == NULL)
		return err_set(e, "out of memory");
	free(*member);
	*member = copy;
	return 0;
}

int
conf_from_json(struct conf *c, const json_t *obj, struct err *e)
{
	struct conf_source src = {0};
	const char *key;
	json_t *value;

	if (!json_is_object(obj))
		return err_set(e, "configuration: expected a JSON object");
	json_object_foreach((json_t *)obj, key, value)
	{
		enum conf_id id = conf_option_find(str_of(key));
		int rc = 0;

		if (strcmp(key, "app") == 0)
			rc = text_from_json(&c->app, key, value, e);
		else if (strcmp(key, "config_file") == 0)
			rc = text_from_json(&c->config_file, key, value, e);
		else if (strcmp(key, "hooks") == 0)
			c->hooks = json_is_true(value);
		else if (id == CONF_COUNT)
			rc = err_set(e, "configuration: unknown key %.64s", key);
		else
			rc = conf_set_json(c, id, value, &src, e);
		if (rc != 0)
			return -1;
	}
	return 0;
}

static int
origins_from_json(struct conf *c, const json_t *obj, struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)obj, key, value)
	{
		enum conf_id id = conf_option_find(str_of(key));

		if (id == CONF_COUNT || !json_is_string(value))
			continue;
		free(c->origin[id]);
		c->origin[id] = strdup(json_string_value(value));
		if (c->origin[id] == NULL)
			return err_set(e, "out of memory");
	}
	return 0;
}

json_t *
conf_save(const struct conf *c)
{
	json_t *origins = json_object(), *obj;
	char key[CONF_KEY_MAX];

	for (unsigned i = 0; i < CONF_COUNT; i++)
		if (c->origin[i] != NULL)
			json_object_set_new(origins, conf_option_key((enum conf_id)i, key),
			    json_string(c->origin[i]));
	obj = json_pack("{s:o, s:o}", "values", conf_to_json(c), "origins", origins);
	return obj;
}

int
conf_restore(struct conf *c, const json_t *obj, struct err *e)
{
	if (conf_from_json(c, json_object_get(obj, "values"), e) < 0)
		return -1;
	for (unsigned i = 0; i < CONF_COUNT; i++) {
		free(c->origin[i]);
		c->origin[i] = NULL;
	}
	return origins_from_json(c, json_object_get(obj, "origins"), e);
}

int
conf_copy(struct conf *to, const struct conf *from, struct err *e)
{
	json_t *obj = conf_save(from);
	int rc;

	conf_init(to);
	if (obj == NULL)
		return err_set(e, "out of memory");
	rc = conf_restore(to, obj, e);
	json_decref(obj);
	return rc;
}
