/* What is said about a wrong configuration: option, value, origin and what was expected.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/conf_input.h"

#define NETWORKS "expected addresses or networks separated by commas, or *"
#define DURATION "expected a duration such as 30, 30s or 1h30m, at least "
#define ROLE                                                                               \
	"expected user:NAME or group:NAME, = and observer, operator or admin, as in "      \
	"group:deploy=operator"
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NO_ASGI "only WSGI applications are served; run an ASGI application with uvicorn"

static const struct {
	struct input in;
	const char *message;
} bad[] = {
    {{A(NULL)},
	"APP is missing: name the application, as in \"shoal shop.wsgi:application\""},
    {{A("a:b", "c:d")},
	"unexpected argument \"c:d\" (command line): APP is already \"a:b\""},
    {{A("a:b", "-w0")},
	"--workers \"0\" (command line): expected a whole number from 1 to 1024"},
    {{A("a:b", "-w", "four")},
	"--workers \"four\" (command line): expected a whole number from 1 to 1024"},
    {{A("a:b", "-w")}, "-w (command line): a value is missing"},
    {{A("a:b", "--workers")}, "--workers (command line): a value is missing"},
    {{A("a:b", "--workers", "--daemon")}, "--workers (command line): a value is missing"},
    {{A("a:b", "-t", "1x")}, "--timeout \"1x\" (command line): " DURATION "0"},
    {{A("a:b", "--head-timeout", "0")},
	"--head-timeout \"0\" (command line): " DURATION "100ms"},
    {{A("a:b", "--switch-interval", "2s")},
	"--switch-interval \"2s\" (command line): expected a duration such as 30, 30s or "
	"1h30m, from 0 to 1s"},
    {{A("a:b", "--body-max", "1z")},
	"--body-max \"1z\" (command line): expected a size such as 65536, 64k or 1MiB, at "
	"least 0"},
    {{A("a:b", "--body-memory", "1")}, "--body-memory \"1\" (command line): expected a "
				       "size such as 65536, 64k or 1MiB, from "
				       "4k to 1G"},
    {{A("a:b", "-m", "22")}, "--umask \"22\" (command line): expected an octal mode with a "
			     "leading 0, such as 022"},
    {{A("a:b", "-m", "01777")}, "--umask \"01777\" (command line): expected an octal mode "
				"with a leading 0, such as "
				"022"},
    {{A("a:b", "-b", "::1:80")},
	"--bind \"::1:80\" (command line): expected an IPv6 address "
	"in brackets, as [::1]:8000"},
    {{A("a:b", "-b:1", "-b:1")},
	"--bind \":1\" (command line): expected each address once"},
    {{A("a:b", "--header-map", "keep")},
	"--header-map \"keep\" (command line): expected one of drop|refuse|dangerous"},
    {{A("a:b", "--header-map", "drop|refuse")},
	"--header-map \"drop|refuse\" (command line): expected one of "
	"drop|refuse|dangerous"},
    {{A("a:b", "--header-map=")},
	"--header-map \"\" (command line): expected one of drop|refuse|dangerous"},
    {{A("a:b", "--compat", "gevent")},
	"--compat \"gevent\" (command line): expected eventlet"},
    {{A("a:b", "--log-level", "loud")},
	"--log-level \"loud\" (command line): expected debug, "
	"info, warning, error or critical"},
    {{A("a:b", "--max-http-version", "2")},
	"--max-http-version \"2\" (command line): expected one of 1.0|1.1"},
    {{A("a:b", "-e", "novalue")}, "--env \"novalue\" (command line): expected NAME=VALUE"},
    {{A("a:b", "--health-path", "ok")},
	"--health-path \"ok\" (command line): expected a path that begins with /"},
    {{A("a:b", "--forwarded-allow-ips", "10.0.0.0/33")},
	"--forwarded-allow-ips \"10.0.0.0/33\" (command line): " NETWORKS},
    {{A("a:b"), E("FORWARDED_ALLOW_IPS=::1,proxy")},
	"--forwarded-allow-ips \"::1,proxy\" (FORWARDED_ALLOW_IPS): " NETWORKS},
    {{A("a:b", "--access-logformat", "%(h)s %(nosuch)s")},
	"--access-logformat \"%(h)s %(nosuch)s\" (command line): there is no atom "
	"%(nosuch)s"},
    {{A("a:b", "--access-logformat", "%(h")},
	"--access-logformat \"%(h\" (command line): expected ) after %(h"},
    {{A("a:b", "--access-logformat", "%(h)x")},
	"--access-logformat \"%(h)x\" (command line): expected s, d or f after %(h)"},
    {{A("a:b", "--access-logformat", "%h")}, "--access-logformat \"%h\" (command line): "
					     "expected %(atom)s or %% where there is a %"},
    {{A("a:b", "--access-logformat", "%({server}o)s")},
	"--access-logformat \"%({server}o)s\" (command line): there is no %({server}o)s, "
	"only "
	"request fields, %({name}i)s"},
    {{A("a:b", "--access-logformat", "jsn")},
	"--access-logformat \"jsn\" (command line): expected combined, eventlet, json, "
	"json-acked or a "
	"format "
	"with %(atom)s"},
    {{A("a:b", "--python=p", "--venv=v")},
	"--venv \"v\" (command line): expected without --python (command line)"},
    {{A("a:b", "-n", "x\ny")},
	"--name \"x\ny\" (command line): expected text without control characters"},
    {{A("a:b", "--daemon=maybe")},
	"--daemon \"maybe\" (command line): expected true or false"},
    {{A("a:b", "--wrokers=4")},
	"unknown option --wrokers (command line); did you mean --workers?"},
    {{A("a:b", "--qqqqqqqqqqq")},
	"unknown option --qqqqqqqqqqq (command line); --help lists them all"},
    {{A("a:b", "-Z")}, "unknown option -Z (command line); --help lists them all"},
    {{A("a:b", "--no-workers")},
	"unknown option --no-workers (command line); did you mean --workers?"},
    {{A("a:b", "--no-daemon=1")}, "--no-daemon \"1\" (command line): expected no value"},
    {{A("a:b", "--max-requests", "-1")}, "--max-requests \"-1\" (command line): expected a "
					 "whole number, at least 0"},
    {{A("a:b", "--preload=maybe")},
	"--preload \"maybe\" (command line): expected one of on|off|auto"},
    {{A("--preload", "off", "a:b")},
	"unexpected argument \"a:b\" (command line): APP is already \"off\""},
    {{A("a:b", "--reload=svn")}, "--reload \"svn\" (command line): expected true or false"},
    {{A("a:b", "--reload-engine", "watchdog")},
	"--reload-engine \"watchdog\" (command line): only auto|inotify|poll is supported "
	"in "
	"this version"},
    {{A("a:b", "--status-port", "8001")},
	"--status-port (command line): not supported yet: the gateway is not there in this "
	"version; ask shoalctl"},
    {{A("a:b", "--http2-cleartext")},
	"--http2-cleartext (command line): not supported yet: "
	"listeners speak HTTP/1.1 in this version"},
    {{A("a:b", "--dirty-app", "x:y")},
	"--dirty-app (command line): not supported: run long "
	"tasks in a task queue of their own"},
    {{A("a:b", "--control-role", "group:ops")},
	"--control-role \"group:ops\" (command line): " ROLE},
    {{A("a:b", "--control-role", "ops=admin")},
	"--control-role \"ops=admin\" (command line): " ROLE},
    {{A("a:b", "--control-role", "user:=admin")},
	"--control-role \"user:=admin\" (command line): " ROLE},
    {{A("a:b", "--control-role", "user:x=root")},
	"--control-role \"user:x=root\" (command line): " ROLE},
    {{A("a:b", "--control-socket=")},
	"--control-socket \"\" (command line): expected a path"},
    {{A("a:b", "--control-socket", "/" LONG LONG)},
	"--control-socket \"/" LONG
	"aaaaaaaaaaaaaaa...\" (command line): expected a path of "
	"at most 107 bytes, which is what the name of a unix socket can hold; this has "
	"129"},
    {{A("a:b", "--state-dir", "nothere")}, "--state-dir \"nothere\" (command line): "
					   "expected a directory: No such file or "
					   "directory"},
    {{A("a:b", "--check-url", "ping")},
	"--check-url \"ping\" (command line): expected a path that begins with /"},
    {{A("a:b", "--warm-up", "ping")},
	"--warm-up \"ping\" (command line): expected a path that begins with /"},
    {{A("a:b", "-R")}, "--enable-stdio-inheritance (command line): not supported: with "
		       "--daemon, use --error-logfile and --capture-output"},
    {{A("a:b", "--protocol", "uwsgi")},
	"--protocol \"uwsgi\" (command line): only http is supported in this version"},
    {{A("a:b", "--http-protocols", "h1,h2")},
	"--http-protocols \"h1,h2\" (command line): only h1 is supported in this version"},
    {{A("a:b", "-k", "gevent_pywsgi")},
	"--worker-class \"gevent_pywsgi\" (command line): write --worker-class gevent"},
    {{A("a:b", "--threads", "0", "-k", "sync")},
	"--threads 0 (command line): expected at least 1 with --worker-class sync (command "
	"line)"},
    {{A("a:b", "-k", "tornado")}, "--worker-class \"tornado\" (command line): only WSGI "
				  "applications are served; run a "
				  "Tornado application with Tornado"},
    {{A("a:b", "-k", "uvicorn.workers.UvicornWorker")},
	"--worker-class \"uvicorn.workers.UvicornWorker\" (command line): " NO_ASGI},
    {{A("a:b", "-k", "x.Y")}, "--worker-class \"x.Y\" (command line): expected sync, "
			      "gthread, eventlet or gevent"},
    {{A("a:b"), E("SHOAL_WORKERS=x")},
	"--workers \"x\" (SHOAL_WORKERS): expected a whole number from 1 to 1024"},
    {{A("a:b"), E("WEB_CONCURRENCY=-1")},
	"--workers \"-1\" (WEB_CONCURRENCY): expected a whole number from 1 to 1024"},
    {{A("a:b"), E("PORT=http")},
	"--bind \"0.0.0.0:http\" (PORT): expected a port from 0 to "
	"65535 after the last colon"},
    {{A("a:b"), E("GUNICORN_CMD_ARGS=-w 'x")}, "GUNICORN_CMD_ARGS: a quote is not closed"},
    {{A("a:b"), E("GUNICORN_CMD_ARGS=--wrokers 4")},
	"unknown option --wrokers (GUNICORN_CMD_ARGS); did you mean --workers?"},
    {{FILE_AND_APP}, "config file shop.json: No such file or directory"},
    {{FILE_AND_APP, .file = "{\"workers\": 4,}"},
	"shop.json:1:15: string or '}' expected near '}'"},
    {{FILE_AND_APP, .file = "{\n \"workers\": 4,\n \"workers\": 5}"},
	"shop.json:3:10: duplicate object key near '\"workers\"'"},
    {{FILE_AND_APP, .file = "[1]"},
	"shop.json:1:1: expected an object, {\"workers\": 4, ...}"},
    {{FILE_AND_APP, .file = "{\n  \"threads\": 2,\n  \"workers\": \"many\"\n}"},
	"--workers \"many\" (shop.json:3:14): expected a whole number from 1 to 1024"},
    {{FILE_AND_APP, .file = "{\"workers\": 4.5}"},
	"--workers \"4.5\" (shop.json:1:13): expected a whole number from 1 to 1024"},
    {{FILE_AND_APP, .file = "{\"workers\": [4]}"},
	"--workers [4] (shop.json:1:13): expected a whole number from 1 to 1024"},
    {{FILE_AND_APP, .file = "{\"timeout\": 9223372036854775807}"},
	"--timeout \"9223372036854775807\" (shop.json:1:13): " DURATION "0"},
    {{FILE_AND_APP, .file = "{\"bind\": \":80\", \"daemon\": 1}"},
	"--daemon \"1\" (shop.json:1:27): expected true or false"},
    {{FILE_AND_APP, .file = "{\"bind\": 80}"},
	"--bind \"80\" (shop.json:1:10): expected a list of strings"},
    {{FILE_AND_APP, .file = "{\"bind\": [80]}"},
	"--bind [80] (shop.json:1:10): expected a list of strings"},
    {{FILE_AND_APP, .file = "{\"umask\": 22}"},
	"--umask \"22\" (shop.json:1:11): expected an octal mode as a string, such as "
	"\"022\""},
    {{FILE_AND_APP, .file = "{\"error_logfile\": null}"},
	"--error-logfile \"null\" (shop.json:1:19): expected a string"},
    {{FILE_AND_APP, .file = "{\"wokers\": 4}"},
	"unknown key \"wokers\" (shop.json:1:12); did you mean \"workers\"?"},
    {{FILE_AND_APP, .file = "{\"accesslog\": \"-\"}"},
	"unknown key \"accesslog\" (shop.json:1:15); did you mean \"access_logfile\"?"},
    {{FILE_AND_APP, .file = "{\"status_port\": 5}"},
	"status_port (shop.json:1:17): not supported yet: the gateway is not there in this "
	"version; ask shoalctl"},
    {{FILE_AND_APP, .file = "{\"max_memory\": 5}"},
	"unknown key \"max_memory\" (shop.json:1:16); did you mean \"max_rss\"?"},
    {{FILE_AND_APP, .file = "{\"preload\": 1}"},
	"--preload \"1\" (shop.json:1:13): expected a string"},
    {{FILE_AND_APP, .file = "{\"app\": 5}"}, "app (shop.json:1:9): expected a string"},
    {{A("-c", "python:shop.conf", "a:b")},
	"config file python:shop.conf: not supported; name the module's file, as in -c "
	"shop.conf.py"},
    {{A("a:b", "--certfile", "nothere.pem")}, "--certfile \"nothere.pem\" (command line): "
					      "expected a readable file: No such file or "
					      "directory"},
    {{A("a:b", "--keyfile", "nothere.pem")},
	"--keyfile (command line): expected --certfile with it"},
    {{A("a:b", "--cert-reqs", "2")},
	"--cert-reqs (command line): expected --ca-certs with it"},
    {{A("a:b", "--body-memory=2M", "--body-max=1M")},
	"--body-memory \"2M\" (command line): expected at most --body-max, 1M (command "
	"line)"},
    {{A("a:b", "--chdir", "nothere")}, "--chdir \"nothere\" (command line): expected a "
				       "directory: No such file or directory"},
    {{A("a:b", "--chdir", "/dev/null")},
	"--chdir \"/dev/null\" (command line): expected a directory"},
    {{A("")}, "APP: expected MODULE:NAME, as in \"shop.wsgi:application\""},
    {{A("a..b:c")}, "APP \"a..b:c\": \"a..b\" is neither a module's dotted name nor a .py "
		    "file"},
    {{A("a b")}, "APP \"a b\": \"a b\" is neither a module's dotted name nor a .py file"},
    {{A("4")}, "APP \"4\": \"4\" is neither a module's dotted name nor a .py file"},
    {{A("a:")}, "APP \"a:\": expected a name or a call after the colon"},
    {{A("a:b-c")}, "APP \"a:b-c\": expected a name or a call after the colon"},
    {{A("a:b(1")}, "APP \"a:b(1\": expected ) at the end of the call"},
};

static void
test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct conf_action action;
		struct conf c;
		struct err e;

		if (load(&c, &bad[i].in, &action, &e) == 0)
			fail_msg("%zu was taken; expected: %s", i, bad[i].message);
		if (strcmp(e.text, bad[i].message) != 0)
			fail_msg("%zu: %s\nexpected: %s", i, e.text, bad[i].message);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

static const struct {
	struct input in;
	const char *message;
} bad_python[] = {
    {{A("a:b"), .py = "workers = 'x'\n"},
	"--workers \"x\" (gunicorn.conf.py): expected a whole number from 1 to 1024"},
    {{A("a:b"), .py = "worker = 4\n"},
	"unknown setting \"worker\" (gunicorn.conf.py); did you mean \"workers\"?"},
    {{A("a:b"), .py = "accesslogs = 4\n"},
	"unknown setting \"accesslogs\" (gunicorn.conf.py); did you mean \"accesslog\"?"},
    {{A("a:b"), .py = "workers = print\n"},
	"workers (gunicorn.conf.py): expected a plain value"},
    {{A("a:b"), .py = "workers = nothing\n"},
	"config file gunicorn.conf.py: failed, see the traceback above"},
    {{A("a:b"), .py = "def\n"},
	"config file gunicorn.conf.py: failed, see the traceback above"},
    {{A("a:b"), .py = "import os\nos.abort()\n"},
	"config file gunicorn.conf.py: its interpreter died of signal 6"},
    {{A("a:b", "--python", "/nothere"), .py = "workers = 4\n"},
	"/nothere: cannot be run to evaluate gunicorn.conf.py: No such file or directory"},
};

static void
test_bad_python(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_python); i++) {
		struct conf_action action;
		struct conf c;
		struct err e;

		assert_int_equal(load(&c, &bad_python[i].in, &action, &e), -1);
		assert_string_equal(e.text, bad_python[i].message);
		conf_finish(&c);
		conf_action_finish(&action);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_bad_python),
	};

	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
