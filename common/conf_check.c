/* What only the whole configuration can tell: options that need or exclude each other.
 * SPDX-License-Identifier: MIT */
#include "common/conf_check.h"

#include "common/bind.h"
#include "common/conf_compat.h"
#include "common/conf_option.h"
#include "common/conf_value.h"
#include "common/statsd_addr.h"
#include "common/strlist.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define DEFAULT_BIND "127.0.0.1:8000"
#define REQUEST_LINE_MAX 65535
#define APP_MAX 4096

static const char *
origin_of(const struct conf *c, enum conf_id id)
{
	return c->origin[id] ? c->origin[id] : "default";
}

static bool
is_name_byte(char ch)
{
	/* Bytes from 0x80 on: Python takes letters of every script. */
	return isalnum((unsigned char)ch) || ch == '_' || (unsigned char)ch >= 0x80;
}

/* A name, or names with dots between them. */
static bool
is_dotted_name(struct str s)
{
	bool start = true;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && start)
			return false;
		if (s.p[i] != '.' && (!is_name_byte(s.p[i]) || (start && isdigit(s.p[i]))))
			return false;
		start = s.p[i] == '.';
	}
	return !start;
}

static bool
is_file(struct str s)
{
	return s.n > 3 && memcmp(s.p + s.n - 3, ".py", 3) == 0;
}

/* "path/with:colon/app.py:attr": the file ends at the last ".py" before a colon. */
static struct str
split_module(const char *app, const char **attr)
{
	const char *colon = strstr(app, ".py:");

	colon = colon ? colon + 3 : strchr(app, ':');
	if (is_file(str_of(app)) && (colon == NULL || strchr(colon, '/') != NULL))
		colon = NULL;
	*attr = colon ? colon + 1 : NULL;
	return (struct str){app, colon ? (size_t)(colon - app) : strlen(app)};
}

int
conf_check_app(const char *app, struct err *e)
{
	const char *attr, *call;
	struct str module, name;

	if (app == NULL)
		return err_set(e, "APP is missing: name the application, as in \"shoal "
				  "shop.wsgi:application\"");
	for (const char *p = app; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, "APP: expected text without control characters");
	if (*app == '\0' || strlen(app) > APP_MAX)
		return err_set(
		    e, "APP: expected MODULE:NAME, as in \"shop.wsgi:application\"");
	module = split_module(app, &attr);
	if (!is_file(module) && !is_dotted_name(module))
		return err_set(e,
		    "APP \"%.80s\": \"%.*s\" is neither a module's dotted name nor a .py "
		    "file",
		    app, (int)MIN(module.n, 80), module.p);
	if (attr == NULL)
		return 0;
	call = strchr(attr, '(');
	name = (struct str){attr, call ? (size_t)(call - attr) : strlen(attr)};
	if (!is_dotted_name(name))
		return err_set(
		    e, "APP \"%.80s\": expected a name or a call after the colon", app);
	if (call != NULL && attr[strlen(attr) - 1] != ')')
		return err_set(e, "APP \"%.80s\": expected ) at the end of the call", app);
	return 0;
}

/* For what is opened later, when somebody may have changed directory. */
static int
make_absolute(struct conf *c, enum conf_id id, struct err *e)
{
	char **path = conf_option_member(c, id);
	char cwd[PATH_MAX], *full;

	if (*path == NULL || **path == '/')
		return 0;
	if (getcwd(cwd, sizeof(cwd)) == NULL || asprintf(&full, "%s/%s", cwd, *path) < 0)
		return err_errno(e, "--%s \"%.80s\"", conf_options[id].name, *path);
	free(*path);
	*path = full;
	return 0;
}

static int
check_tls_file(struct conf *c, enum conf_id id, struct err *e)
{
	const char *path = *(const char *const *)conf_option_value(c, id);

	if (path != NULL && access(path, R_OK) != 0)
		return err_set(e, "--%s \"%.80s\" (%s): expected a readable file: %s",
		    conf_options[id].name, path, origin_of(c, id), strerror(errno));
	return make_absolute(c, id, e);
}

static int
check_needs(const struct conf *c, enum conf_id id, enum conf_id needs, struct err *e)
{
	const char *const *value = conf_option_value(c, needs);

	if (*value != NULL)
		return 0;
	return err_set(e, "--%s (%s): expected --%s with it", conf_options[id].name,
	    origin_of(c, id), conf_options[needs].name);
}

static int
check_tls(struct conf *c, struct err *e)
{
	if (c->keyfile != NULL && check_needs(c, CONF_keyfile, CONF_certfile, e) != 0)
		return -1;
	if (c->ca_certs != NULL && check_needs(c, CONF_ca_certs, CONF_certfile, e) != 0)
		return -1;
	if (c->cert_reqs > 0 && check_needs(c, CONF_cert_reqs, CONF_ca_certs, e) != 0)
		return -1;
	if (check_tls_file(c, CONF_certfile, e) != 0 ||
	    check_tls_file(c, CONF_keyfile, e) != 0)
		return -1;
	return check_tls_file(c, CONF_ca_certs, e);
}

static int
check_directory(const struct conf *c, enum conf_id id, struct err *e)
{
	const char *path = *(const char *const *)conf_option_value(c, id);
	struct stat st;

	if (path == NULL)
		return 0;
	if (stat(path, &st) != 0)
		return err_set(e, "--%s \"%.80s\" (%s): expected a directory: %s",
		    conf_options[id].name, path, origin_of(c, id), strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, "--%s \"%.80s\" (%s): expected a directory",
		    conf_options[id].name, path, origin_of(c, id));
	return 0;
}

static int
check_control(struct conf *c, struct err *e)
{
	const enum conf_id id = CONF_control_socket;

	if (check_directory(c, CONF_state_dir, e) != 0 ||
	    make_absolute(c, CONF_state_dir, e) != 0 || make_absolute(c, id, e) != 0)
		return -1;
	if (c->control_socket != NULL && strlen(c->control_socket) >= BIND_PATH_MAX)
		return err_set(e,
		    "--%s \"%.80s...\" (%s): expected a path of at most %d bytes, which is "
		    "what the name of a unix socket can hold; this has %zu",
		    conf_options[id].name, c->control_socket, origin_of(c, id),
		    BIND_PATH_MAX - 1, strlen(c->control_socket));
	return 0;
}

/* A stronger source has ended a weaker one: both come from the same. */
static int
check_interpreter(const struct conf *c, struct err *e)
{
	if (c->python == NULL || c->venv == NULL)
		return 0;
	return err_set(e, "--venv \"%.80s\" (%s): expected without --python (%s)", c->venv,
	    origin_of(c, CONF_venv), origin_of(c, CONF_python));
}

static int
check_limits(struct conf *c, struct err *e)
{
	char memory[CONF_VALUE_TEXT_MAX], max[CONF_VALUE_TEXT_MAX];

	if (c->limit_request_line == 0)
		c->limit_request_line = REQUEST_LINE_MAX;
	if (c->limit_request_field_size == 0)
		c->limit_request_field_size = REQUEST_LINE_MAX;
	if (c->origin[CONF_body_memory] == NULL || c->body_max == 0 ||
	    c->body_memory <= c->body_max)
		return 0;
	return err_set(e, "--body-memory \"%s\" (%s): expected at most --body-max, %s (%s)",
	    conf_value_size_text(c->body_memory, memory), origin_of(c, CONF_body_memory),
	    conf_value_size_text(c->body_max, max), origin_of(c, CONF_body_max));
}

static int
complete_bind(struct conf *c, struct err *e)
{
	if (c->bind.n == 0 && strlist_add(&c->bind, DEFAULT_BIND) != 0)
		return err_set(e, "out of memory");
	for (size_t i = 0; i < c->bind.n; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(c->bind.v[i], c->bind.v[k]) == 0)
				return err_set(e,
				    "--bind \"%s\" (%s): expected each address once",
				    c->bind.v[i], origin_of(c, CONF_bind));
	return 0;
}

/* Spawning's --threads 0: green threads. */
static int
complete_green(struct conf *c, struct err *e)
{
	const enum conf_id set = CONF_worker_class, by = CONF_threads;

	if (c->worker_class != NULL && conf_compat_green(c) == NULL)
		return err_set(e,
		    "--threads 0 (%s): expected at least 1 with --worker-class %s (%s)",
		    origin_of(c, by), c->worker_class, origin_of(c, set));
	c->threads = 1;
	if (c->worker_class != NULL)
		return 0;
	c->worker_class = strdup("eventlet");
	c->origin[set] = c->origin[by] != NULL ? strdup(c->origin[by]) : NULL;
	return c->worker_class != NULL ? 0 : err_set(e, "out of memory");
}

static int
complete_executor(struct conf *c, struct strlist *notices, struct err *e)
{
	const char *green;

	if (c->threads == 0)
		return complete_green(c, e);
	green = conf_compat_green(c);
	if (green != NULL && c->threads > 1)
		strlist_addf(notices,
		    "--threads %lld (%s): has no effect: with --worker-class %s every "
		    "request "
		    "has a green thread, at most --worker-connections of them",
		    (long long)c->threads, origin_of(c, CONF_threads), green);
	else if (green == NULL && c->worker_class != NULL)
		strlist_addf(notices,
		    "--worker-class %s (%s): has no effect: --threads decides how requests "
		    "run",
		    c->worker_class, origin_of(c, CONF_worker_class));
	if (green != NULL)
		c->threads = 1;
	return 0;
}

static int
check_statsd(const struct conf *c, struct err *e)
{
	static const enum conf_id texts[] = {CONF_statsd_prefix, CONF_dogstatsd_tags};
	struct statsd_addr a;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const char *text = *(const char *const *)conf_option_value(c, texts[i]);

		if (text != NULL && (!statsd_text_is_safe(text, STATSD_TEXT_MAX) ||
					(i == 0 && strchr(text, ':') != NULL)))
			return err_set(e,
			    "--%s \"%.80s\" (%s): expected at most %d characters without "
			    "spaces, controls and any of %s",
			    conf_options[texts[i]].name, text, origin_of(c, texts[i]),
			    STATSD_TEXT_MAX, i == 0 ? "| @ # :" : "| @ #");
	}
	if (c->statsd_host == NULL || c->statsd_host[0] == '\0')
		return 0;
	return statsd_addr_parse(&a, c->statsd_host, e);
}

int
conf_check(struct conf *c, struct strlist *notices, struct err *e)
{
	if (complete_executor(c, notices, e) != 0)
		return -1;
	if (complete_bind(c, e) != 0 || check_limits(c, e) != 0)
		return -1;
	if (check_directory(c, CONF_chdir, e) != 0 ||
	    check_directory(c, CONF_body_dir, e) != 0)
		return -1;
	if (check_interpreter(c, e) != 0 || check_control(c, e) != 0)
		return -1;
	return check_statsd(c, e) != 0 ? -1 : check_tls(c, e);
}
