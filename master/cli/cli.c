/* The options before the verb, the connection, errors and their exit codes.
 * SPDX-License-Identifier: MIT */
#include "master/cli/cli.h"

#include "master/cli/find.h"
#include "master/cli/text.h"

#include <signal.h>
#include <stdarg.h>

#define SAY_MAX 4096

static volatile int interrupted;

static void
on_signal(int signo)
{
	interrupted = signo;
}

void
cli_say(const char *fmt, ...)
{
	char raw[SAY_MAX], clean[SAY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_clean(raw, clean, sizeof(clean), TEXT_ALL_COLUMNS);
	fflush(stdout);
	fprintf(stderr, "shoalctl: %s\n", clean);
}

int
cli_explain(struct cli *c, enum link_status st, const struct err *e)
{
	static const enum cli_exit codes[] = {
	    [LINK_OK] = CLI_OK,
	    [LINK_REFUSED] = CLI_FAILED,
	    [LINK_TIMEOUT] = CLI_RUNNING,
	    [LINK_LOST] = CLI_FAILED,
	    [LINK_NOBODY] = CLI_NOBODY,
	    [LINK_NO_ENTRY] = CLI_DENIED,
	    [LINK_TOO_OLD] = CLI_TOO_OLD,
	    [LINK_GARBAGE] = CLI_FAILED,
	};

	(void)c;
	cli_say("%s", e->text);
	return codes[st];
}

/* What the error's data adds to its message. */
static void
add_details(const json_t *error, char *buf, size_t max)
{
	static const struct {
		const char *path, *before;
	} details[] = {
	    {"data.param", "parameter"},
	    {"data.expected", "expected"},
	    {"data.needs", "needs the role"},
	    {"data.role", "yours is"},
	    {"data.job", "job"},
	    {"data.what", "there is no"},
	    {"data.why", "because"},
	    {"data.did_you_mean", "did you mean"},
	};
	const char *message = value_string(error, "message", "");
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(details); i++) {
		const json_t *v = value_at(error, details[i].path);
		char text[VALUE_TEXT_MAX];

		if (v == NULL || json_is_object(v) || n >= max)
			continue;
		value_raw(v, text);
		/* The server's sentence often names it already. */
		if (*text != '\0' && strstr(message, text) == NULL)
			n += (size_t)snprintf(buf + n, max - n, "%s%s %s", n ? ", " : "",
			    details[i].before, text);
	}
}

int
cli_refused(struct cli *c, const char *method, const struct link_msg *m)
{
	static const struct {
		const char *kind;
		enum cli_exit code;
	} kinds[] = {
	    {"invalid_params", CLI_USAGE},
	    {"permission_denied", CLI_DENIED},
	    {"timeout", CLI_RUNNING},
	    {"unsupported", CLI_TOO_OLD},
	    {"unknown_method", CLI_TOO_OLD},
	};
	const json_t *error = link_msg_error(m);
	const char *kind = value_string(error, "data.kind", "");
	const char *message = value_string(error, "message", "refused");
	bool named;
	char details[SAY_MAX / 2];
	int code = CLI_FAILED;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			code = (int)kinds[i].code;
	if (c->out.mode == OUT_JSON || c->out.mode == OUT_JSONL) {
		json_t *shown = json_pack("{s:O}", "error", error);

		out_json_value(&c->out, shown, false);
		json_decref(shown);
	}
	add_details(error, details, sizeof(details));
	named = strncmp(message, method, strlen(method)) == 0; /* by the server */
	cli_say("%s%s%s%s%s%s", named ? "" : method, named ? "" : ": ", message,
	    *details ? " (" : "", details, *details ? ")" : "");
	return code;
}

int64_t
cli_reply_deadline(const struct cli *c)
{
	return MIN(c->deadline, link_now() + CLI_REPLY_MS);
}

int
cli_connect(struct cli *c)
{
	const char *path = json_string_value(args_local(c->args, "socket"));
	const char *name = json_string_value(args_local(c->args, "instance"));
	struct err e = {0};
	enum link_status st;

	if (path == NULL) {
		struct find *f = calloc(1, sizeof(*f));
		const struct find_instance *one = NULL;

		if (f != NULL) {
			find_default_dirs(f);
			find_scan(f);
			one = find_choose(f, name, &e);
		}
		if (one != NULL)
			link_init(&c->link, one->path);
		int code = f != NULL && f->up > 1 && name == NULL ? CLI_USAGE : CLI_NOBODY;

		free(f);
		if (one == NULL) {
			cli_say("%s", e.text);
			return code;
		}
	} else if (strlen(path) >= sizeof(c->link.path)) {
		cli_say("%s: a socket's path has at most %zu bytes", path,
		    sizeof(c->link.path) - 1);
		return CLI_USAGE;
	} else {
		link_init(&c->link, path);
	}
	st = link_open(&c->link, cli_reply_deadline(c), &e);
	return st == LINK_OK ? CLI_OK : cli_explain(c, st, &e);
}

int
cli_call(struct cli *c, const char *method, json_t *params, struct link_msg *m)
{
	struct err e = {0};
	enum link_status st =
	    link_call(&c->link, method, params, cli_reply_deadline(c), m, &e);
	int code;

	if (st == LINK_OK)
		return CLI_OK;
	if (st != LINK_REFUSED)
		return cli_explain(c, st, &e);
	code = cli_refused(c, method, m);
	link_msg_finish(m);
	return code;
}

void
cli_show(struct cli *c, const struct out_view *v, const struct link_msg *m)
{
	struct str raw;

	if (out_for_people(&c->out)) {
		out_reply(&c->out, v, link_msg_result(m));
		return;
	}
	raw = link_msg_text(m, "result");
	if (raw.p != NULL)
		out_json(&c->out, raw.p, raw.n);
}

static enum out_mode
mode_of(const struct args *a)
{
	if (args_has(a, "quiet"))
		return OUT_QUIET;
	if (args_has(a, "jsonl"))
		return OUT_JSONL;
	return args_has(a, "json") ? OUT_JSON : OUT_TABLES;
}

/* Without SA_RESTART: poll() ends, and whoever waits looks at `interrupted`. */
void
cli_catch_signals(struct cli *c)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	c->interrupted = &interrupted;
}

static int
run(struct cli *c)
{
	const struct args *a = c->args;
	const json_t *timeout = args_local(a, "timeout");
	int code;

	if (args_has(a, "version")) {
		printf("shoalctl %s\n", SHOAL_VERSION);
		return CLI_OK;
	}
	if (args_has(a, "help")) {
		if (a->verb != NULL)
			verb_help_one(stdout, a->verb);
		else
			verb_help_all(stdout);
		return CLI_OK;
	}
	if (a->verb == NULL) {
		cli_say("no verb; see shoalctl -h");
		return CLI_USAGE;
	}
	out_init(&c->out, mode_of(a));
	c->interrupted = &interrupted;
	c->started = link_now();
	c->deadline = CLI_FOREVER;
	if (timeout != NULL)
		c->deadline = c->started + (int64_t)(json_number_value(timeout) * 1000);
	link_init(&c->link, "");
	code = a->verb->run(c, a);
	link_finish(&c->link);
	if (fflush(stdout) != 0 && code == CLI_OK) {
		cli_say("standard output cannot be written");
		code = CLI_FAILED;
	}
	return code;
}

int
cli_main(int argc, char **argv)
{
	struct cli c = {0};
	struct args a;
	struct err e = {0};
	int code;

	if (args_parse(&a, argv + 1, (size_t)argc - 1, &e) != 0) {
		cli_say("%s; see shoalctl %s%s-h", e.text, a.verb ? a.verb->name : "",
		    a.verb ? " " : "");
		args_finish(&a);
		return CLI_USAGE;
	}
	c.args = &a;
	code = run(&c);
	args_finish(&a);
	return code;
}
