/* gunicorn's control frames: a length of four bytes, then JSON. What changes something
 * becomes a call of ours, with its role, its audit and its rules; what it answers gets
 * gunicorn's field names, so that its own client works. SPDX-License-Identifier: MIT */
#include "master/ctl/gunicorn.h"

#include "master/ctl/server.h"
#include "master/master.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#define WORDS_MAX 4
#define WORD_LEN 32
#define ID_LEN 128
#define COUNT_MAX 1024

/* One command with its words. */
struct order {
	char id[ID_LEN]; /* JSON, as it came */
	char words[WORDS_MAX][WORD_LEN];
	unsigned n;
	long count;      /* workers to add or to remove, or a pid */
	unsigned before; /* workers wanted when it came */
};

struct command {
	const char *verb, *object; /* object NULL: none */
	enum ctl_role role;
	json_t *(*show)(struct ctl *c); /* or: */
	enum ctl_method_id method;
	/* NULL, answered: it cannot be. */
	json_t *(*params)(struct ctl_conn *conn, struct order *o);
	json_t *(*result)(struct ctl *c, const struct order *o);
};

static void
send_frame(struct ctl_conn *conn, json_t *v)
{
	AUTO_FREE char *text = v ? json_dumps(v, CTL_DUMP) : NULL;
	uint32_t n = text ? (uint32_t)strlen(text) : 0;
	uint32_t head = htonl(n);

	json_decref(v);
	if (text == NULL) {
		ctl_conn_end(conn);
		return;
	}
	ctl_conn_send(conn, (const char *)&head, sizeof(head));
	ctl_conn_send(conn, text, n);
}

static json_t *
id_json(const struct order *o)
{
	json_t *id = json_loads(o->id, JSON_DECODE_ANY, NULL);

	return id ? id : json_integer(0);
}

static void
send_data(struct ctl_conn *conn, const struct order *o, json_t *data)
{
	send_frame(conn,
	    json_pack("{s:o, s:s, s:o}", "id", id_json(o), "status", "ok", "data", data));
}

static void
send_error(struct ctl_conn *conn, const struct order *o, const char *why)
{
	send_frame(conn, json_pack("{s:o, s:s, s:o}", "id", id_json(o), "status", "error",
			     "error", ctl_text(str_of(why))));
}

static json_t *
scale_params(struct ctl_conn *conn, struct order *o)
{
	long most = (long)o->before - 1;
	bool remove = strcmp(o->words[1], "remove") == 0;

	(void)conn;
	o->count = MIN(MAX(o->count, 1L), (long)COUNT_MAX);
	if (!remove)
		return json_pack("{s:I}", "delta", (json_int_t)o->count);
	/* Its last worker stays, and that is no error. */
	o->count = MIN(o->count, most);
	return json_pack("{s:I}", "target", (json_int_t)(o->before - (unsigned)o->count));
}

static json_t *
scale_result(struct ctl *c, const struct order *o)
{
	bool remove = strcmp(o->words[1], "remove") == 0;
	long total = remove ? (long)o->before - o->count : (long)o->before + o->count;

	(void)c;
	return json_pack("{s:I, s:I, s:I}", remove ? "removed" : "added",
	    (json_int_t)o->count, "previous", (json_int_t)o->before, "total",
	    (json_int_t)total);
}

static json_t *
kill_params(struct ctl_conn *conn, struct order *o)
{
	char why[64];

	for (const struct proc *p = conn->ctl->master->fleet.procs; p != NULL; p = p->next)
		if (p->pid == o->count && o->count > 0)
			return json_pack("{s:[i]}", "slots", (int)p->slot);
	snprintf(why, sizeof(why), "Worker %ld not found", o->count);
	send_data(conn, o, json_pack("{s:b, s:s}", "success", 0, "error", why));
	return NULL;
}

static json_t *
kill_result(struct ctl *c, const struct order *o)
{
	(void)c;
	return json_pack("{s:b, s:I}", "success", 1, "killed", (json_int_t)o->count);
}

static json_t *
no_params(struct ctl_conn *conn, struct order *o)
{
	(void)conn, (void)o;
	return json_object();
}

static json_t *
reload_result(struct ctl *c, const struct order *o)
{
	(void)c, (void)o;
	return json_pack("{s:s}", "status", "reloading");
}

static json_t *
reopen_result(struct ctl *c, const struct order *o)
{
	(void)c, (void)o;
	return json_pack("{s:s}", "status", "reopening");
}

static bool
is_quick(const struct order *o)
{
	return o->n > 1 && strcmp(o->words[1], "quick") == 0;
}

static json_t *
shutdown_params(struct ctl_conn *conn, struct order *o)
{
	(void)conn;
	return json_pack("{s:s}", "mode", is_quick(o) ? "fast" : "graceful");
}

static json_t *
shutdown_result(struct ctl *c, const struct order *o)
{
	(void)c;
	return json_pack("{s:s, s:s}", "status", "shutting_down", "mode",
	    is_quick(o) ? "quick" : "graceful");
}

static json_t *show_help(struct ctl *c);

#define SHOW(object, role, fn)                                                             \
	{                                                                                  \
		"show", object, role, fn, CTL_METHODS, NULL, NULL                          \
	}
#define CALL(verb, object, ident, params, result)                                          \
	{                                                                                  \
		verb, object, CTL_OBSERVER, NULL, CTL_M_##ident, params, result            \
	}

static const struct command commands[] = {
    SHOW("workers", CTL_OBSERVER, gunicorn_show_workers),
    SHOW("all", CTL_OBSERVER, gunicorn_show_all),
    SHOW("stats", CTL_OBSERVER, gunicorn_show_stats),
    SHOW("listeners", CTL_OBSERVER, gunicorn_show_listeners),
    SHOW("dirty", CTL_OBSERVER, gunicorn_show_dirty),
    SHOW("config", CTL_OPERATOR, gunicorn_show_config),
    {"help", NULL, CTL_OBSERVER, show_help, CTL_METHODS, NULL, NULL},
    CALL("worker", "add", workers_scale, scale_params, scale_result),
    CALL("worker", "remove", workers_scale, scale_params, scale_result),
    CALL("worker", "kill", workers_recycle, kill_params, kill_result),
    CALL("reload", NULL, reload_start, no_params, reload_result),
    CALL("reopen", NULL, logs_reopen, no_params, reopen_result),
    CALL("shutdown", NULL, server_stop, shutdown_params, shutdown_result),
};

static const struct {
	const char *words, *text;
} help[] = {
    {"show all", "all processes"},
    {"show workers", "workers and their heartbeats"},
    {"show config", "the options that gunicorn has, too"},
    {"show stats", "up-time, workers started and gone, reloads"},
    {"show listeners", "listening sockets"},
    {"show dirty", "always empty: there are no dirty workers"},
    {"worker add [N]", "more workers"},
    {"worker remove [N]", "fewer workers, not below one"},
    {"worker kill <PID>", "replace a worker, the replacement first"},
    {"reload", "a new generation of code and configuration"},
    {"reopen", "log files under their names again"},
    {"shutdown [graceful|quick]", "end the instance"},
    {"help", "this list; shoalctl knows more"},
};

static json_t *
show_help(struct ctl *c)
{
	json_t *all = json_object();

	(void)c;
	for (size_t i = 0; i < ARRAY_LEN(help); i++)
		json_object_set_new(all, help[i].words, json_string(help[i].text));
	return json_pack("{s:o}", "commands", all);
}

/* state of a call: the order, and the command it came from. */
struct pending {
	struct order order;
	const struct command *command;
};

static void
on_answer(struct ctl_call *call, bool ok, json_t *value, const char *why)
{
	struct pending *p = call->state;

	(void)value;
	if (ok)
		send_data(call->conn, &p->order, p->command->result(call->ctl, &p->order));
	else
		send_error(call->conn, &p->order, why);
	free(p);
}

/* What is answered without a call. */
static void
refuse(struct ctl_conn *conn, const struct order *o, const char *why)
{
	selfcount_call(&conn->ctl->master->self, CTL_METHODS, false, 0);
	send_error(conn, o, why);
}

static void
show(struct ctl_conn *conn, const struct order *o, const struct command *command)
{
	int64_t began_us = ctl_now_us();

	send_data(conn, o, command->show(conn->ctl));
	selfcount_call(
	    &conn->ctl->master->self, CTL_METHODS, true, ctl_now_us() - began_us);
}

/* The same checks as for a call over JSON-RPC. */
static void
run(struct ctl_conn *conn, const struct command *command, struct order *o, json_t *params)
{
	struct ctl_request r = {.method = &ctl_methods[command->method]};
	struct pending *p = malloc(sizeof(*p));

	r.params = ctl_params_check(&r, params);
	if (p == NULL || r.params == NULL) {
		refuse(conn, o, p ? r.why : "out of memory");
		free(p);
	} else {
		*p = (struct pending){*o, command};
		ctl_call_run(conn, r.method, NULL, r.params, on_answer, p);
	}
	json_decref(params);
	ctl_request_finish(&r);
}

static void
carry_out(struct ctl_conn *conn, const struct command *command, struct order *o)
{
	enum ctl_role needs =
	    command->show ? command->role : ctl_methods[command->method].role;
	json_t *params;
	char why[128];

	if (conn->peer.role < needs) {
		snprintf(why, sizeof(why), "Permission denied: it needs the role %s",
		    ctl_role_name(needs));
		refuse(conn, o, why);
		return;
	}
	if (command->show != NULL) {
		show(conn, o, command);
		return;
	}
	o->before = conn->ctl->master->fleet.wanted;
	params = command->params(conn, o);
	if (params != NULL)
		run(conn, command, o, params);
	else
		selfcount_call(&conn->ctl->master->self, command->method, false, 0);
}

static void
add_words(struct order *o, const char *text)
{
	while (text != NULL && o->n < WORDS_MAX) {
		size_t n;

		text += strspn(text, " \t\"'");
		n = strcspn(text, " \t\"'");
		if (n == 0)
			return;
		snprintf(o->words[o->n++], WORD_LEN, "%.*s", (int)MIN(n, 31u), text);
		text += n;
	}
}

static void
read_order(struct order *o, const json_t *v)
{
	const json_t *args = json_object_get(v, "args");
	json_t *id = json_object_get(v, "id");
	AUTO_FREE char *text = id ? json_dumps(id, JSON_ENCODE_ANY) : NULL;

	if (text != NULL && strlen(text) < ID_LEN)
		strcpy(o->id, text);
	add_words(o, json_string_value(json_object_get(v, "command")));
	for (size_t i = 0; i < json_array_size(args); i++) {
		const json_t *arg = json_array_get(args, i);
		char number[32];

		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
		    json_integer_value(arg));
		add_words(o, json_is_integer(arg) ? number : json_string_value(arg));
	}
	o->count = o->n > 2 ? strtol(o->words[2], NULL, 10) : 1;
}

static const struct command *
find_command(const struct order *o)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcasecmp(commands[i].verb, o->words[0]) == 0 &&
		    (commands[i].object == NULL ||
			strcasecmp(commands[i].object, o->words[1]) == 0))
			return &commands[i];
	return NULL;
}

void
ctl_gunicorn_frame(struct ctl_conn *conn, const char *p, size_t n)
{
	struct order o = {.id = "0"};
	const struct command *command;
	char why[128];
	json_t *v = ctl_json_load(p, n);

	if (v == NULL) {
		refuse(conn, &o, "Invalid JSON");
		ctl_conn_end(conn);
		return;
	}
	read_order(&o, v);
	json_decref(v);
	command = find_command(&o);
	if (o.n == 0) {
		refuse(conn, &o, "Empty command");
	} else if (command == NULL) {
		snprintf(why, sizeof(why), "Unknown command: %s %s (see help)", o.words[0],
		    o.words[1]);
		refuse(conn, &o, why);
	} else {
		carry_out(conn, command, &o);
	}
}
