/* What users of gunicorn and Spawning write and is no option of its own: the tables.
 * SPDX-License-Identifier: MIT */
#include "common/conf_compat.h"

#include "common/conf_option.h"
#include "common/nearest.h"

#include <strings.h>

#define ALIAS(n, s, member)                                                                \
	{                                                                                  \
		.name = (n), .setting = (s), .kind = COMPAT_ALIAS, .id = CONF_##member     \
	}
#define IN_UNIT(n, member, of, text)                                                       \
	{                                                                                  \
		.name = (n), .kind = COMPAT_ALIAS, .id = CONF_##member, .unit = (of),      \
		.sentence = (text)                                                         \
	}
#define IGNORE(n, s, value, text)                                                          \
	{                                                                                  \
		.name = (n), .setting = (s), .kind = COMPAT_IGNORE,                        \
		.takes_value = (value), .sentence = (text)                                 \
	}
#define ONLY(n, value, text)                                                               \
	{                                                                                  \
		.name = (n), .kind = COMPAT_IGNORE, .takes_value = true, .only = (value),  \
		.sentence = (text)                                                         \
	}
#define REFUSE(n, s, value, text)                                                          \
	{                                                                                  \
		.name = (n), .setting = (s), .kind = COMPAT_REFUSE,                        \
		.takes_value = (value), .sentence = (text)                                 \
	}
#define SILENT(n)                                                                          \
	{                                                                                  \
		.name = (n), .kind = COMPAT_SILENT                                         \
	}
#define HOOK(n)                                                                            \
	{                                                                                  \
		.name = (n), .kind = COMPAT_HOOK                                           \
	}

#define WORKER_HOOK(n)                                                                     \
	{                                                                                  \
		.name = (n), .kind = COMPAT_HOOK, .called = true                           \
	}

#define NO_HTTP2 "not supported yet: listeners speak HTTP/1.1 in this version"
#define NO_ASGI "not supported: only WSGI applications are served"
#define NO_DIRTY "not supported: run long tasks in a task queue of their own"

static const struct compat table[] = {
    /* gunicorn's other names */
    ALIAS("log-file", NULL, error_logfile),
    ALIAS("accesslog", "accesslog", access_logfile),
    ALIAS("access-log-format", "access_log_format", access_logformat),
    ALIAS("errorlog", "errorlog", error_logfile),
    ALIAS("loglevel", "loglevel", log_level),
    ALIAS("keepalive", "keepalive", keep_alive),
    ALIAS("pidfile", "pidfile", pidfile),
    ALIAS("proc-name", "proc_name", name),
    ALIAS("raw-env", "raw_env", env),
    ALIAS("tmp-upload-dir", "tmp_upload_dir", body_dir),
    ALIAS("preload-app", "preload_app", preload),
    ALIAS("reload-extra-files", "reload_extra_files", reload_extra_file),
    ALIAS("no-control-socket", "control_socket_disable", no_control_socket),
    /* Spawning's */
    ALIAS("processes", NULL, workers),
    ALIAS("deadman-timeout", NULL, graceful_timeout),
    ALIAS("deadman", NULL, graceful_timeout),
    ALIAS("watch", NULL, reload_extra_file),
    IN_UNIT("max-memory", max_rss, "k",
	"kilobytes as in Spawning, but of each worker, not of all together"),
    ALIAS("daemonize", NULL, daemon),
    ALIAS("access-log-file", NULL, access_logfile),
    ALIAS("chuid", NULL, user),

    SILENT("do-handshake-on-connect"),
    SILENT("suppress-ragged-eofs"),
    IGNORE("worker-tmp-dir", NULL, true,
	"has no effect: workers are watched through shared memory, not through a file"),
    ONLY("http-protocols", "h1", "has no effect: HTTP/1.1 is what listeners speak"),
    ONLY("protocol", "http", "has no effect: HTTP is what listeners speak"),
    IGNORE("log-config", "logconfig", true,
	"applies to the application's own loggers only; load it from the application"),
    IGNORE("disable-redirect-access-to-syslog", NULL, false,
	"has no effect: the access log never goes to syslog"),
    IGNORE("default-proc-name", NULL, true, "has no effect: use --name"),

    ONLY("reload-engine", "auto|inotify|poll",
	"has no effect: files are watched with inotify"),
    REFUSE("status-port", NULL, true,
	"not supported yet: the gateway is not there in this version; ask shoalctl"),
    REFUSE("status-host", NULL, true,
	"not supported yet: the gateway is not there in this version; ask shoalctl"),
    REFUSE("proxy-protocol", NULL, false,
	"not supported yet: listeners do not read the PROXY protocol in this version"),
    REFUSE("proxy-allow-from", "proxy_allow_ips", true,
	"not supported yet: listeners do not read the PROXY protocol in this version"),
    REFUSE("forwarder-headers", NULL, true,
	"not supported yet: --header-map decides about names with an underscore"),
    REFUSE("enable-stdio-inheritance", NULL, false,
	"not supported: with --daemon, use --error-logfile and --capture-output"),
    REFUSE("paste", NULL, true,
	"not supported yet: name a module that calls paste.deploy.loadapp as APP"),
    REFUSE("paster", NULL, true,
	"not supported yet: name a module that calls paste.deploy.loadapp as APP"),
    REFUSE("paste-global", "raw_paste_global_conf", true,
	"not supported yet: name a module that calls paste.deploy.loadapp as APP"),
    REFUSE("spew", NULL, false, "not supported: lines of Python are not traced"),
    REFUSE("logger-class", NULL, true,
	"not supported: logs are written outside of Python; see --access-logformat"),
    REFUSE("log-config-json", "logconfig_json", true,
	"not supported: configure logging in the application"),
    REFUSE("logconfig-dict", NULL, true,
	"not supported: configure logging in the application"),
    REFUSE("log-syslog", "syslog", false,
	"not supported: log to standard error and let the service manager forward it"),
    REFUSE("log-syslog-to", "syslog_addr", true,
	"not supported: log to standard error and let the service manager forward it"),
    REFUSE("log-syslog-prefix", "syslog_prefix", true,
	"not supported: log to standard error and let the service manager forward it"),
    REFUSE("log-syslog-facility", "syslog_facility", true,
	"not supported: log to standard error and let the service manager forward it"),
    IGNORE("enable-backlog-metric", NULL, false,
	"has no effect: --statsd-host always tells the backlog"),
    IGNORE("http-parser", NULL, true, "has no effect: there is one parser"),
    REFUSE("http2-cleartext", NULL, false, NO_HTTP2),
    REFUSE("http2-max-concurrent-streams", NULL, true, NO_HTTP2),
    REFUSE("http2-initial-window-size", NULL, true, NO_HTTP2),
    REFUSE("http2-max-frame-size", NULL, true, NO_HTTP2),
    REFUSE("http2-max-header-list-size", NULL, true, NO_HTTP2),
    REFUSE("uwsgi-allow-from", "uwsgi_allow_ips", true,
	"not supported: listeners do not speak the uwsgi protocol"),
    REFUSE("asgi-loop", NULL, true, NO_ASGI),
    REFUSE("asgi-lifespan", NULL, true, NO_ASGI),
    REFUSE("asgi-disconnect-grace-period", NULL, true, NO_ASGI),
    REFUSE("websocket-max-message-size", NULL, true, NO_ASGI),
    REFUSE("dirty-app", "dirty_apps", true, NO_DIRTY),
    REFUSE("dirty-workers", NULL, true, NO_DIRTY),
    REFUSE("dirty-timeout", NULL, true, NO_DIRTY),
    REFUSE("dirty-threads", NULL, true, NO_DIRTY),
    REFUSE("dirty-graceful-timeout", NULL, true, NO_DIRTY),
    REFUSE("ssl-version", NULL, true,
	"not supported: TLS 1.2 and 1.3 are always on, older versions never"),
    REFUSE("secure-scheme-headers", NULL, true,
	"not supported: X-Forwarded-Proto of --forwarded-allow-ips sets the scheme"),
    REFUSE("permit-obsolete-folding", NULL, false,
	"not supported: folded header lines are refused"),
    REFUSE("strip-header-spaces", NULL, false,
	"not supported: a space before a header's colon is refused"),
    REFUSE("permit-unconventional-http-method", NULL, false,
	"not supported: methods must be tokens"),
    REFUSE("permit-unconventional-http-version", NULL, false,
	"not supported: versions other than 1.0 and 1.1 are refused"),
    REFUSE(
	"casefold-http-method", NULL, false, "not supported: methods are case-sensitive"),
    REFUSE("no-keepalive", NULL, false, "write --keep-alive 0"),
    REFUSE("threadpool-workers", NULL, true, "write --threads"),
    REFUSE("coverage", NULL, false, "not supported: run the application under coverage"),
    REFUSE("sysinfo", NULL, false, "not supported: there is no status page"),
    REFUSE("backdoor", NULL, false, "not supported: there is no backdoor"),

    HOOK("on-starting"),
    HOOK("on-reload"),
    HOOK("when-ready"),
    HOOK("pre-fork"),
    WORKER_HOOK("post-fork"),
    WORKER_HOOK("post-worker-init"),
    WORKER_HOOK("worker-int"),
    WORKER_HOOK("worker-abort"),
    HOOK("pre-exec"),
    WORKER_HOOK("pre-request"),
    WORKER_HOOK("post-request"),
    HOOK("child-exit"),
    WORKER_HOOK("worker-exit"),
    HOOK("nworkers-changed"),
    HOOK("on-exit"),
    HOOK("ssl-context"),
    HOOK("on-dirty-starting"),
    HOOK("dirty-post-fork"),
    HOOK("dirty-worker-init"),
    HOOK("dirty-worker-exit"),
};

static const struct {
	const char *name;
	bool green; /* named after the library that runs it */
} classes[] = {{"sync", false}, {"gthread", false}, {"eventlet", true}, {"gevent", true}};

static const struct {
	const char *name; /* with '.' at the end: every class of that package */
	const char *sentence;
} refused_classes[] = {
    {"gevent_wsgi", "write --worker-class gevent"},
    {"gevent_pywsgi", "write --worker-class gevent"},
    {"tornado",
	"only WSGI applications are served; run a Tornado application with Tornado"},
    {"uvicorn.", "only WSGI applications are served; run an ASGI application with uvicorn"},
    {"uvicorn_worker.",
	"only WSGI applications are served; run an ASGI application with uvicorn"},
    {"asgi", "only WSGI applications are served; run an ASGI application with uvicorn"},
};

int
conf_compat_check_class(const char *name, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(name, classes[i].name) == 0)
			return 0;
	for (size_t i = 0; i < ARRAY_LEN(refused_classes); i++) {
		const char *refused = refused_classes[i].name;
		size_t n = strlen(refused);

		if (strncmp(name, refused, n) == 0 &&
		    (refused[n - 1] == '.' || name[n] == '\0'))
			return err_set(e, "%s", refused_classes[i].sentence);
	}
	return err_set(e, "expected sync, gthread, eventlet or gevent");
}

const char *
conf_compat_green(const struct conf *c)
{
	for (size_t i = 0; i < ARRAY_LEN(classes) && c->worker_class != NULL; i++)
		if (classes[i].green && strcmp(c->worker_class, classes[i].name) == 0)
			return classes[i].name;
	return NULL;
}

const char *
conf_compat_word(enum conf_id id, const char *text)
{
	return id == CONF_reload && strcmp(text, "dev") == 0 ? "true" : text;
}

static bool
same_name(const char *name, struct str text)
{
	size_t i = 0;

	for (; i < text.n && name[i] != '\0'; i++)
		if (name[i] != text.p[i] &&
		    !(strchr("-_", name[i]) && strchr("-_", text.p[i])))
			return false;
	return i == text.n && name[i] == '\0';
}

const struct compat *
conf_compat_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (table[i].kind != COMPAT_HOOK && same_name(table[i].name, name))
			return &table[i];
	return NULL;
}

const struct compat *
conf_compat_find_letter(char letter)
{
	return letter == 'R' ? conf_compat_find(STR("enable-stdio-inheritance")) : NULL;
}

const struct compat *
conf_compat_find_setting(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (same_name(table[i].setting ? table[i].setting : table[i].name, name))
			return &table[i];
	return NULL;
}

const char *
conf_compat_nearest(struct str name, bool settings)
{
	struct nearest n = nearest_begin(name);

	for (size_t i = 0; i < CONF_COUNT; i++)
		nearest_try(&n, conf_options[i].name);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (!settings && table[i].kind == COMPAT_HOOK)
			continue;
		nearest_try(&n, settings && table[i].setting != NULL ? table[i].setting
								     : table[i].name);
	}
	return n.found;
}
