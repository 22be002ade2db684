/* Loading a configuration: which source wins, where values come from, what is noticed.
 * SPDX-License-Identifier: MIT */
#include "common/conf_option.h"
#include "tests/unit/conf_input.h"

static const struct {
	struct input in;
	const char *key, *value; /* value: as JSON */
	const char *origin;      /* NULL: default */
} good[] = {
    {{A("a:b")}, "workers", "1", NULL},
    {{A("a:b")}, "bind", "[\"127.0.0.1:8000\"]", NULL},
    {{A("a:b")}, "app", "\"a:b\"", NULL},
    {{A("-w", "4", "a:b")}, "workers", "4", "command line"},
    {{A("-w4", "a:b")}, "workers", "4", "command line"},
    {{A("-w=4", "a:b")}, "workers", "4", "command line"},
    {{A("a:b", "--workers=4")}, "workers", "4", "command line"},
    {{A("a:b", "--workers", "4")}, "workers", "4", "command line"},
    {{A("a:b", "-w4", "-w5")}, "workers", "5", "command line"},
    {{A("a:b", "--processes", "4")}, "workers", "4", "command line"},
    {{A("-Dw4", "a:b")}, "daemon", "true", "command line"},
    {{A("-Dw4", "a:b")}, "workers", "4", "command line"},
    {{A("-b", ":1", "--bind=unix:x", "a:b")}, "bind", "[\":1\",\"unix:x\"]",
	"command line"},
    {{A("--no-sendfile", "a:b")}, "sendfile", "false", "command line"},
    {{A("--no-daemon", "a:b")}, "daemon", "false", "command line"},
    {{A("--daemon=no", "a:b")}, "daemon", "false", "command line"},
    {{A("-w", "4", "--", "a:b")}, "app", "\"a:b\"", NULL},
    {{A("--access-logfile", "-", "a:b")}, "access_logfile", "\"-\"", "command line"},
    {{A("--log-file", "x", "a:b")}, "error_logfile", "\"x\"", "command line"},
    {{A("--limit-request-field-size=9", "a:b")}, "limit_request_field_size", "9",
	"command line"},
    {{A("--limit-request-line", "0", "a:b")}, "limit_request_line", "65535",
	"command line"},
    {{A("-eA=1", "-e", "B=2=3", "a:b")}, "env", "[\"A=1\",\"B=2=3\"]", "command line"},
    {{A("-t", "1h30m", "a:b")}, "timeout", "\"1h30m\"", "command line"},
    {{A("--keep-alive", "2", "a:b")}, "keep_alive", "\"2s\"", "command line"},
    {{A("-m", "022", "a:b")}, "umask", "\"022\"", "command line"},
    {{A("--cert-reqs=0", "a:b")}, "cert_reqs", "0", "command line"},
    {{A("a:b"), E("PORT=80")}, "bind", "[\"0.0.0.0:80\"]", "PORT"},
    {{A("a:b"), E("PORT=")}, "bind", "[\"127.0.0.1:8000\"]", NULL},
    {{A("a:b"), E("WEB_CONCURRENCY=")}, "workers", "1", NULL},
    {{A("a:b"), E("WEB_CONCURRENCY=3")}, "workers", "3", "WEB_CONCURRENCY"},
    {{A("a:b"), E("FORWARDED_ALLOW_IPS=*")}, "forwarded_allow_ips", "\"*\"",
	"FORWARDED_ALLOW_IPS"},
    {{A("--forwarded-allow-ips=::1,10.0.0.0/8, 192.0.2.1", "a:b")}, "forwarded_allow_ips",
	"\"::1,10.0.0.0/8, 192.0.2.1\"", "command line"},
    {{A("--venv", "v", "a:b"), E("SHOAL_PYTHON=p")}, "python", "null", NULL},
    {{A("--venv", "v", "a:b"), E("SHOAL_PYTHON=p")}, "venv", "\"v\"", "command line"},
    {{A("--python", "p", "a:b"), E("SHOAL_VENV=v")}, "venv", "null", NULL},
    {{A("--access-logformat=json", "a:b")}, "access_logformat", "\"json\"", "command line"},
    {{A("--access-logformat=%% %(h)s %({x-id}i)s %(T).3f", "a:b")}, "access_logformat",
	"\"%% %(h)s %({x-id}i)s %(T).3f\"", "command line"},
    {{A("a:b"), E("WEB_CONCURRENCY=3", "SHOAL_WORKERS=4")}, "workers", "4",
	"SHOAL_WORKERS"},
    {{A("a:b"), E("SHOAL_WORKERS=")}, "workers", "1", NULL},
    {{A("a:b"), E("SHOAL_BIND=:1, :2")}, "bind", "[\":1\",\":2\"]", "SHOAL_BIND"},
    {{A("a:b"), E("SHOAL_ENV=A=1,2\nB=3")}, "env", "[\"A=1,2\",\"B=3\"]", "SHOAL_ENV"},
    {{E("SHOAL_APP=x:y")}, "app", "\"x:y\"", NULL},
    {{A("a:b"), E("SHOAL_APP=x:y")}, "app", "\"a:b\"", NULL},
    {{A("a:b"), E("GUNICORN_CMD_ARGS=-w 5 --threads='6'")}, "threads", "6",
	"GUNICORN_CMD_ARGS"},
    {{A("a:b"), E("GUNICORN_CMD_ARGS=-w 5", "SHOAL_WORKERS=4")}, "workers", "4",
	"SHOAL_WORKERS"},
    {{A("a:b", "-w3"), E("GUNICORN_CMD_ARGS=-w 5", "SHOAL_WORKERS=4")}, "workers", "3",
	"command line"},
    {{FILE_AND_APP, .file = "{\"workers\": 7}"}, "workers", "7", "shop.json:1:13"},
    {{FILE_AND_APP, E("WEB_CONCURRENCY=3"), .file = "{\n  \"timeout\":\n\t60 }"}, "timeout",
	"\"1m\"", "shop.json:3:2"},
    {{FILE_AND_APP, E("SHOAL_WORKERS=4"), .file = "{\"workers\": 7}"}, "workers", "4",
	"SHOAL_WORKERS"},
    {{FILE_AND_APP, E("WEB_CONCURRENCY=3"), .file = "{\"workers\": 7}"}, "workers", "7",
	"shop.json:1:13"},
    {{A("-c", "shop.json"), .file = "{\"app\": \"f:g\"}"}, "app", "\"f:g\"", NULL},
    {{E("SHOAL_CONFIG=shop.json"), .file = "{\"app\": \"f:g\"}"}, "app", "\"f:g\"", NULL},
    {{FILE_AND_APP, .file = "{\"bind\": [\":1\", \":2\"]}"}, "bind", "[\":1\",\":2\"]",
	"shop.json:1:10"},
    {{A("-c", "shop.json", "a:b", "-b:3"), .file = "{\"bind\": [\":1\", \":2\"]}"}, "bind",
	"[\":3\"]", "command line"},
    {{FILE_AND_APP, .file = "{\"timeout\": 0.25}"}, "timeout", "\"250ms\"",
	"shop.json:1:13"},
    {{FILE_AND_APP, .file = "{\"body_max\": \"1MiB\"}"}, "body_max", "1048576",
	"shop.json:1:14"},
    {{FILE_AND_APP, .file = "{\"env\": [\"A={\\\"x\\\"}\"], \"threads\": 2}"}, "threads",
	"2", "shop.json:1:35"},
    {{A("a:b", "-k", "gevent")}, "worker_class", "\"gevent\"", "command line"},
    {{A("a:b"), E("SHOAL_THREADS=0")}, "worker_class", "\"eventlet\"", "SHOAL_THREADS"},
    {{A("a:b"), E("SHOAL_THREADS=0")}, "threads", "1", "SHOAL_THREADS"},
    {{A("a:b", "-k", "gevent"), E("SHOAL_THREADS=0")}, "worker_class", "\"gevent\"",
	"command line"},
    {{A("a:b")}, "preload", "\"auto\"", NULL},
    {{A("--preload", "a:b")}, "preload", "\"on\"", "command line"},
    {{A("--preload", "a:b")}, "app", "\"a:b\"", NULL},
    {{A("--preload=off", "a:b")}, "preload", "\"off\"", "command line"},
    {{A("--preload=auto", "a:b")}, "preload", "\"auto\"", "command line"},
    {{A("--no-preload", "a:b")}, "preload", "\"off\"", "command line"},
    {{A("--preload-app", "a:b")}, "preload", "\"on\"", "command line"},
    {{A("a:b"), E("SHOAL_PRELOAD=1")}, "preload", "\"on\"", "SHOAL_PRELOAD"},
    {{A("a:b"), E("SHOAL_PRELOAD=auto")}, "preload", "\"auto\"", "SHOAL_PRELOAD"},
    {{FILE_AND_APP, .file = "{\"preload\": true}"}, "preload", "\"on\"", "shop.json:1:13"},
    {{FILE_AND_APP, .file = "{\"preload\": false}"}, "preload", "\"off\"",
	"shop.json:1:13"},
    {{FILE_AND_APP, .file = "{\"preload\": \"auto\"}"}, "preload", "\"auto\"",
	"shop.json:1:13"},
    {{A("a:b"), .py = "preload_app = True\n"}, "preload", "\"on\"", "gunicorn.conf.py"},
    {{A("a:b"), .py = "preload_app = False\n"}, "preload", "\"off\"", "gunicorn.conf.py"},
    {{A("a:b"), .py = "reload = True\n"}, "reload", "true", "gunicorn.conf.py"},
    {{A("a:b", "--reload")}, "reload", "true", "command line"},
    {{A("a:b", "--reload=dev")}, "reload", "true", "command line"},
    {{A("a:b", "--no-reload")}, "reload", "false", "command line"},
    {{A("a:b", "--watch", "x", "--reload-extra-file=y")}, "reload_extra_file",
	"[\"x\",\"y\"]", "command line"},
    {{A("a:b"), .py = "reload_extra_files = ['x']\n"}, "reload_extra_file", "[\"x\"]",
	"gunicorn.conf.py"},
    {{A("a:b"), .py = "max_requests = 5\nmax_requests_jitter = 2\n"}, "max_requests", "5",
	"gunicorn.conf.py"},
    {{A("a:b", "--max-memory", "102400")}, "max_rss", "104857600", "command line"},
    {{A("a:b", "--max-memory", "100M")}, "max_rss", "104857600", "command line"},
    {{A("a:b", "--max-age", "60")}, "max_age", "\"1m\"", "command line"},
    {{A("a:b", "--deadman_timeout", "60")}, "graceful_timeout", "\"1m\"", "command line"},
    {{A("a:b", "--no-control-socket")}, "no_control_socket", "true", "command line"},
    {{A("a:b"), .py = "control_socket_disable = True\n"}, "no_control_socket", "true",
	"gunicorn.conf.py"},
    {{A("a:b"), .py = "control_socket_mode = 0o660\n"}, "control_socket_mode", "\"0660\"",
	"gunicorn.conf.py"},
    {{A("a:b", "--control-socket-mode", "0660")}, "control_socket_mode", "\"0660\"",
	"command line"},
    {{A("a:b", "--control-socket", "/run/x.sock")}, "control_socket", "\"/run/x.sock\"",
	"command line"},
    {{A("a:b", "--control-role=user:a=b=admin", "--control-role", "group:ops=observer")},
	"control_role", "[\"user:a=b=admin\",\"group:ops=observer\"]", "command line"},
    {{A("a:b"), E("STATE_DIRECTORY=/tmp:/var")}, "state_dir", "\"/tmp\"",
	"STATE_DIRECTORY"},
    {{A("a:b", "--state-dir=/var"), E("STATE_DIRECTORY=/tmp")}, "state_dir", "\"/var\"",
	"command line"},
    {{FILE_AND_APP, .file = "{\"umask\": \"027\"}"}, "umask", "\"027\"", "shop.json:1:11"},
};

static void
test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		enum conf_id id = conf_option_find(str_of(good[i].key));
		struct conf_action action;
		struct conf c;
		struct err e;
		json_t *all;
		char *text;

		if (load(&c, &good[i].in, &action, &e) != 0)
			fail_msg("%zu, %s: %s", i, good[i].key, e.text);
		all = conf_to_json(&c);
		text = json_dumps(
		    json_object_get(all, good[i].key), JSON_ENCODE_ANY | JSON_COMPACT);
		if (strcmp(text, good[i].value) != 0)
			fail_msg("%zu: %s = %s", i, good[i].key, text);
		if (id != CONF_COUNT && good[i].origin != NULL)
			assert_string_equal(c.origin[id], good[i].origin);
		if (id != CONF_COUNT && good[i].origin == NULL)
			assert_null(c.origin[id]);
		free(text);
		json_decref(all);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

static const char *const apps[] = {
    "app",
    "shop.wsgi",
    "shop.wsgi:application",
    "shop:make.app",
    "shop:create_app()",
    "shop:create_app('prod', debug=False)",
    "shop:create_app(\"a:b/c\")",
    "app.py",
    "path/to/app.py:app",
    "/srv/with:colon/app.py",
    "/srv/with:colon/app.py:app",
    "schön:größe",
};

static void
test_apps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(apps); i++) {
		struct input in = {A(apps[i])};
		struct conf_action action;
		struct conf c;
		struct err e;

		if (load(&c, &in, &action, &e) != 0)
			fail_msg("%s: %s", apps[i], e.text);
		assert_string_equal(c.app, apps[i]);
		assert_int_equal(action.what, CONF_RUN);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

static const struct {
	struct input in;
	enum conf_what what;
} actions[] = {
    {{A("--help")}, CONF_HELP},
    {{A("-h", "--wrokers")}, CONF_HELP},
    {{A("-v")}, CONF_VERSION},
    {{A("--version"), E("SHOAL_WORKERS=x")}, CONF_VERSION},
    {{A("--check-config", "a:b")}, CONF_CHECK},
    {{A("a:b", "--print-config")}, CONF_PRINT},
    {{A("--print-config")}, CONF_PRINT},
    {{A("a:b"), E("GUNICORN_CMD_ARGS=--check-config")}, CONF_CHECK},
};

static void
test_actions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		struct conf_action action;
		struct conf c;
		struct err e;

		assert_int_equal(load(&c, &actions[i].in, &action, &e), 0);
		assert_int_equal(action.what, actions[i].what);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

static const struct {
	struct input in;
	const char *notice; /* the only one; NULL: none */
} noticed[] = {
    {{A("a:b")}, NULL},
    {{A("a:b", "-k", "gevent")}, NULL},
    {{A("a:b", "--threads", "0")}, NULL},
    {{A("a:b", "-k", "gevent", "--threads", "8")},
	"--threads 8 (command line): has no effect: with --worker-class gevent every "
	"request "
	"has a green thread, at most --worker-connections of them"},
    {{A("a:b", "-k", "gthread")}, "--worker-class gthread (command line): has no effect: "
				  "--threads decides how requests run"},
    {{A("a:b", "--worker-tmp-dir", "/dev/shm")},
	"--worker-tmp-dir /dev/shm (command line): has no effect: workers are watched "
	"through "
	"shared memory, not through a file"},
    {{A("a:b", "--http-protocols=h1")},
	"--http-protocols h1 (command line): has no effect: "
	"HTTP/1.1 is what listeners speak"},
    {{A("a:b", "--do-handshake-on-connect")}, NULL},
    {{A("a:b"), E("SHOAL_SERVICE_HOST=10.0.0.1")},
	"SHOAL_SERVICE_HOST: ignored, there is no such option"},
    {{A("a:b"), E("SHOAL_WROKERS=1")},
	"SHOAL_WROKERS: ignored, there is no such option; did you mean --workers?"},
    {{A("a:b"), E("SHOAL_STATUS_PORT=1")},
	"SHOAL_STATUS_PORT: not supported yet: the gateway is not there in this version; "
	"ask shoalctl"},
    {{A("a:b", "--max-memory", "102400")},
	"--max-memory 102400 (command line): taken as --max-rss 102400k: kilobytes as in "
	"Spawning, but of each worker, not of all together"},
    {{A("a:b", "--max-memory", "100M")}, NULL},
    {{A("a:b", "--reload-engine", "poll")},
	"--reload-engine poll (command line): has no effect: files are watched with "
	"inotify"},
    {{A("a:b"), .py = "def post_fork(server, worker):\n    pass\n"}, NULL},
    {{A("a:b"), .py = "on_exit = when_ready = pre_request = lambda *a: None\n"},
	"gunicorn.conf.py: hooks of the master are not called: on_exit, when_ready"},
    {{A("a:b"), .py = "worker_tmp_dir = '/x'\nreload_engine = 'poll'\nspew = False\n"},
	"gunicorn.conf.py: settings without effect in this version: worker_tmp_dir, "
	"reload_engine"},
    {{A("a:b"), .py = "max_requests = 5\npreload_app = True\nreload = False\n"}, NULL},
    {{A("a:b"), .py = "import os\ncores = 4\n_x = 1\ndef f(): pass\nenv = os.environ\n"},
	"gunicorn.conf.py: names that are no setting: cores"},
};

static void
test_notices(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(noticed); i++) {
		struct conf_action action;
		struct conf c;
		struct err e;

		if (load(&c, &noticed[i].in, &action, &e) != 0)
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(action.notices.n, noticed[i].notice != NULL);
		if (noticed[i].notice != NULL)
			assert_string_equal(action.notices.v[0], noticed[i].notice);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

/* Workers read the file again only when there is something in it that they call. */
static void
test_hooks(void **state)
{
	static const struct {
		const char *py;
		bool hooks;
	} files[] = {
	    {"timeout = 3\n", false},
	    {"def on_starting(server):\n    pass\n", false},
	    {"post_fork = None\n", false},
	    {"def pre_request(worker, req):\n    pass\n", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct input in = {A("a:b"), .py = files[i].py};
		struct conf_action action;
		struct conf c;
		struct err e;

		assert_int_equal(load(&c, &in, &action, &e), 0);
		assert_int_equal(c.hooks, files[i].hooks);
		assert_int_equal(c.config_file[0], '/');
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

static const char python_file[] = "import multiprocessing, pathlib\n"
				  "print('on standard error')\n"
				  "workers = 2 * 2\n"
				  "bind = '127.0.0.1:1, unix:/tmp/x'\n"
				  "umask = 0o27\n"
				  "keepalive = 5\n"
				  "accesslog = '-'\n"
				  "chdir = pathlib.Path('/tmp')\n"
				  "raw_env = ['A=1']\n"
				  "wsgi_app = 'shop:app'\n"
				  "user = None\n";

static void
test_python_file(void **state)
{
	struct input in = {.py = python_file};
	struct conf_action action;
	struct conf c;
	struct err e;

	(void)state;
	if (load(&c, &in, &action, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(c.workers, 4);
	assert_string_equal(c.origin[CONF_workers], "gunicorn.conf.py");
	assert_int_equal(c.bind.n, 2);
	assert_string_equal(c.bind.v[1], "unix:/tmp/x");
	assert_int_equal(c.umask, 027);
	assert_int_equal(c.keep_alive, 5000);
	assert_string_equal(c.access_logfile, "-");
	assert_string_equal(c.chdir, "/tmp");
	assert_string_equal(c.env.v[0], "A=1");
	assert_string_equal(c.app, "shop:app");
	assert_null(c.user);
	assert_int_equal(action.notices.n, 0);
	conf_finish(&c);
	conf_action_finish(&action);
}

/* Opened by somebody who may have changed directory by then. */
static void
test_control_path(void **state)
{
	struct input in = {A("a:b", "--control-socket", "x.sock", "--state-dir", ".")};
	struct conf_action action;
	struct conf c;
	struct err e;

	(void)state;
	assert_int_equal(load(&c, &in, &action, &e), 0);
	assert_int_equal(c.control_socket[0], '/');
	assert_int_equal(c.state_dir[0], '/');
	conf_finish(&c);
	conf_action_finish(&action);
}

/* Workers may change directory before they open it. */
static void
test_tls_path(void **state)
{
	struct input in = {A("a:b", "--certfile", "cert.pem")};
	struct conf_action action;
	struct conf c;
	struct err e;

	(void)state;
	write_file("cert.pem", "x");
	assert_int_equal(load(&c, &in, &action, &e), 0);
	assert_int_equal(c.certfile[0], '/');
	assert_int_equal(access(c.certfile, R_OK), 0);
	conf_finish(&c);
	conf_action_finish(&action);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_apps),
	    cmocka_unit_test(test_actions),
	    cmocka_unit_test(test_notices),
	    cmocka_unit_test(test_hooks),
	    cmocka_unit_test(test_python_file),
	    cmocka_unit_test(test_tls_path),
	    cmocka_unit_test(test_control_path),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
