/* A helper process beside the master: answers, notifications, restarts, its end. This
 * program is the helper, too, when it is started under the helper's name.
 * SPDX-License-Identifier: MIT */
#include "master/sidecar.h"

#include <event2/event.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define HELPER "sidecar-helper"

/* ---- The helper ---- */

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vdprintf(SIDECAR_FD, fmt, ap);
	va_end(ap);
}

static void
carry_out(long long id, const char *method)
{
	if (strcmp(method, "echo") == 0)
		say("{\"id\":%lld,\"result\":{\"id\":%lld}}\n", id, id);
	else if (strcmp(method, "fail") == 0)
		say("{\"id\":%lld,\"error\":{\"kind\":\"not_found\",\"message\":\"no\"}}\n",
		    id);
	else if (strcmp(method, "event") == 0)
		say("{\"event\":\"something\",\"data\":{\"n\":7}}\n{\"log\":\"info\","
		    "\"event\":"
		    "\"said\"}\n{\"id\":%lld,\"result\":{}}\n",
		    id);
	else if (strcmp(method, "garbage") == 0)
		say("this is no JSON\n");
	else if (strcmp(method, "last words") == 0)
		say("{\"id\":%lld,\"result\":{}}\n", id), _exit(3);
	else if (strcmp(method, "die") == 0)
		raise(SIGKILL);
	else if (strcmp(method, "hang") == 0)
		while (true)
			pause();
}

/* Byte by byte: a descriptor belongs to its line. false: the end. */
static bool
get_line(char *line, size_t max, int *with)
{
	size_t n = 0;

	*with = -1;
	while (n + 1 < max && (n == 0 || line[n - 1] != '\n')) {
		union {
			struct cmsghdr head;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec data = {.iov_base = line + n, .iov_len = 1};
		struct msghdr m = {.msg_iov = &data,
		    .msg_iovlen = 1,
		    .msg_control = control.room,
		    .msg_controllen = sizeof(control.room)};

		if (recvmsg(SIDECAR_FD, &m, 0) <= 0)
			return false;
		if (m.msg_controllen >= CMSG_LEN(sizeof(int)))
			memcpy(with, CMSG_DATA(&control.head), sizeof(*with));
		n++;
	}
	line[n] = '\0';
	return true;
}

/* As many bytes as the line says are in what came with it. */
static void
look_into(int with, const char *line)
{
	unsigned want;
	char bytes[64];

	if (sscanf(line, "{\"method\":\"look\",\"params\":{\"bytes\":%u}}", &want) == 1 &&
	    pread(with, bytes, sizeof(bytes), 0) == want)
		say("{\"event\":\"something\",\"data\":{\"n\":7}}\n");
	close(with);
}

static int
be_helper(void)
{
	char line[4096], word[64] = "", method[64];
	int with;

	/* The descriptor the configuration speaks of has been handed over. */
	if (!get_line(line, sizeof(line), &with) ||
	    read(SIDECAR_FIRST_FD, word, sizeof(word) - 1) < 0 ||
	    strstr(line, word) == NULL)
		return 9;
	say("{\"ready\":true}\n");
	while (get_line(line, sizeof(line), &with))
		if (with >= 0)
			look_into(with, line);
		else if (sscanf(line, "{\"id\":%*[0-9],\"method\":\"%63[^\"]\"", method) ==
			 1)
			carry_out(strtoll(line + strlen("{\"id\":"), NULL, 10), method);
	return 0;
}

/* ---- The master's side ---- */

struct fixture {
	struct event_base *base;
	struct sidecar *s;
	unsigned starts, ups, downs, events, ended, answers, errors;
	char kind[32], why[64];
	int pipe_fd;
};

static size_t
on_start(void *ctx, int fds[SIDECAR_FDS_MAX])
{
	struct fixture *f = ctx;
	int both[2];

	f->starts++;
	if (f->pipe_fd >= 0)
		close(f->pipe_fd);
	assert_int_equal(pipe(both), 0);
	assert_int_equal(write(both[1], "word-7", 6), 6);
	close(both[1]);
	fds[0] = f->pipe_fd = both[0];
	return 1;
}

static json_t *
on_config(void *ctx)
{
	(void)ctx;
	return json_pack("{s:s}", "word", "word-7");
}

static void
on_state(void *ctx, const char *why)
{
	struct fixture *f = ctx;

	if (why == NULL)
		f->ups++;
	else
		f->downs++;
	snprintf(f->why, sizeof(f->why), "%s", why ? why : "");
}

static void
on_event(void *ctx, const char *type, json_t *data)
{
	struct fixture *f = ctx;

	assert_string_equal(type, "something");
	assert_int_equal(json_integer_value(json_object_get(data, "n")), 7);
	f->events++;
}

static void
on_ended(void *ctx)
{
	((struct fixture *)ctx)->ended++;
}

static void
on_answer(void *ctx, json_t *result, json_t *error)
{
	struct fixture *f = ctx;

	assert_true((result == NULL) != (error == NULL));
	if (result != NULL) {
		f->answers++;
		return;
	}
	f->errors++;
	snprintf(f->kind, sizeof(f->kind), "%s",
	    json_string_value(json_object_get(error, "kind")));
}

/* Lets the loop run, and reaps as the master does, until *counter is n. */
static void
await(struct fixture *f, const unsigned *counter, unsigned n)
{
	struct timeval tick = {0, 1000};

	for (int i = 0; i < 10000 && *counter < n; i++) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0)
			assert_true(sidecar_on_child(f->s, pid, status));
		event_base_loopexit(f->base, &tick);
		event_base_dispatch(f->base);
	}
	assert_int_equal(*counter, n);
}

static void
ask(struct fixture *f, const char *method)
{
	struct err e;

	assert_int_equal(sidecar_request(f->s, method, NULL, on_answer, f, &e), 0);
}

static const char *ping;

static void
begin_with(struct fixture *f, int64_t grace_ms, int64_t silence_ms, bool must_finish)
{
	struct err e;

	memset(f, 0, sizeof(*f));
	f->pipe_fd = -1;
	f->base = event_base_new();
	f->s = sidecar_open(&(struct sidecar_setup){.base = f->base,
				.name = HELPER,
				.path = "/proc/self/exe",
				.grace_ms = grace_ms,
				.must_finish = must_finish,
				.silence_ms = silence_ms,
				.ping = ping,
				.ping_ms = 20,
				.ctx = f,
				.on_start = on_start,
				.on_config = on_config,
				.on_state = on_state,
				.on_event = on_event,
				.on_ended = on_ended},
	    &e);
	assert_non_null(f->s);
	/* What is asked before it is ready waits for that. */
	assert_int_equal(sidecar_request(f->s, "echo", NULL, on_answer, f, &e), 0);
	await(f, &f->answers, 1);
	f->answers = 0;
	assert_int_equal(f->ups, 1);
	assert_true(sidecar_is_ready(f->s));
}

static void
begin(struct fixture *f, int64_t grace_ms)
{
	begin_with(f, grace_ms, 60000, false);
}

static void
end(struct fixture *f)
{
	sidecar_end(f->s);
	await(f, &f->ended, 1);
	assert_true(sidecar_has_ended(f->s));
	assert_int_equal(sidecar_pid(f->s), 0);
	sidecar_close(f->s);
	event_base_free(f->base);
	close(f->pipe_fd);
}

/* Between other lines: each line has its own. */
static void
test_descriptors(void **state)
{
	char path[] = "/tmp/shoal-sidecar-XXXXXX";
	struct fixture f;

	(void)state;
	begin(&f, 5000);
	for (int i = 0; i < 50; i++) {
		strcpy(path + sizeof(path) - 7, "XXXXXX");
		AUTO_FD int fd = mkstemp(path);
		unlink(path);
		assert_int_equal(write(fd, "0123456789", (size_t)i % 10), i % 10);
		ask(&f, "echo");
		assert_int_equal(
		    sidecar_hand(f.s, "look", json_pack("{s:i}", "bytes", i % 10), fd), 0);
	}
	await(&f, &f.events, 50);
	await(&f, &f.answers, 50);
	end(&f);
}

static void
test_requests(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 5000);
	for (unsigned i = 0; i < 100; i++)
		ask(&f, "echo");
	await(&f, &f.answers, 100);
	ask(&f, "fail");
	await(&f, &f.errors, 1);
	assert_string_equal(f.kind, "not_found");
	ask(&f, "event");
	await(&f, &f.answers, 101);
	assert_int_equal(f.events, 1);
	/* Nobody waits any more: the answer goes nowhere. */
	ask(&f, "echo");
	sidecar_forget(f.s, &f);
	end(&f);
	assert_int_equal(f.answers, 101);
	assert_int_equal(f.downs, 0);
}

static void
test_restart(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 5000);
	ask(&f, "echo");
	ask(&f, "die");
	await(&f, &f.errors, 1);
	assert_string_equal(f.kind, "overloaded");
	assert_int_equal(f.answers, 1);
	assert_int_equal(f.downs, 1);
	await(&f, &f.ups, 2);
	assert_int_equal(sidecar_restarts(f.s), 1);
	ask(&f, "last words");
	await(&f, &f.downs, 2);
	assert_int_equal(f.answers, 2);
	assert_int_equal(f.errors, 1);
	await(&f, &f.ups, 3);
	/* What cannot be understood is ended. */
	ask(&f, "garbage");
	await(&f, &f.downs, 3);
	await(&f, &f.ups, 4);
	end(&f);
	assert_int_equal(f.downs, 3);
}

static void
test_does_not_end(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 50);
	ask(&f, "hang");
	end(&f);
	assert_int_equal(f.errors, 1);
}

/* Who has something to finish gets a second chance, and no third. */
static void
test_must_finish(void **state)
{
	struct fixture f;

	(void)state;
	begin_with(&f, 5000, 60000, true);
	ask(&f, "die");
	await(&f, &f.downs, 1);
	end(&f); /* while the next start is waited for */
	assert_int_equal(f.starts, 2);
	begin_with(&f, 5000, 60000, true);
	ask(&f, "die");
	end(&f); /* of that request, before it reads the order to go */
	assert_int_equal(f.starts, 2);
	begin_with(&f, 50, 60000, true);
	ask(&f, "hang");
	end(&f);
	assert_int_equal(f.starts, 1);
	begin(&f, 5000);
	ask(&f, "die");
	await(&f, &f.downs, 1);
	end(&f);
	assert_int_equal(f.starts, 1);
}

static void
test_hangs(void **state)
{
	struct fixture f;
	struct timeval longer = {0, 120000};

	(void)state;
	begin_with(&f, 5000, 100, false);
	/* Nobody waits for anything: it may be silent. */
	event_base_loopexit(f.base, &longer);
	event_base_dispatch(f.base);
	assert_int_equal(sidecar_restarts(f.s), 0);
	ask(&f, "hang");
	await(&f, &f.errors, 1);
	assert_int_equal(f.downs, 1);
	await(&f, &f.ups, 2);
	ask(&f, "echo");
	await(&f, &f.answers, 1);
	end(&f);
}

static void
run_for(struct fixture *f, int64_t ms)
{
	struct timeval tv = {0, ms * 1000};

	event_base_loopexit(f->base, &tv);
	event_base_dispatch(f->base);
}

/* Nobody wants anything, and still it is noticed that it does not answer. */
static void
test_is_pinged(void **state)
{
	struct fixture f;

	(void)state;
	ping = "echo";
	begin_with(&f, 5000, 200, false);
	run_for(&f, 300);
	assert_int_equal(sidecar_restarts(f.s), 0);
	assert_true(sidecar_silent_ms(f.s) < 100);
	end(&f);
	ping = "hang";
	begin_with(&f, 5000, 150, false);
	run_for(&f, 100);
	assert_true(sidecar_silent_ms(f.s) > 20);
	await(&f, &f.downs, 1);
	assert_string_equal(f.why, "did not answer");
	await(&f, &f.downs, 2);
	end(&f);
	ping = NULL;
}

static void
test_anew_after_end(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 5000);
	sidecar_end(f.s);
	await(&f, &f.ended, 1);
	sidecar_restart(f.s);
	await(&f, &f.ups, 2);
	ask(&f, "echo");
	await(&f, &f.answers, 1);
	sidecar_end(f.s);
	await(&f, &f.ended, 2);
	sidecar_close(f.s);
	event_base_free(f.base);
	close(f.pipe_fd);
}

static void
test_no_program(void **state)
{
	struct fixture f = {.pipe_fd = -1, .base = event_base_new()};
	struct err e;

	(void)state;
	f.s = sidecar_open(&(struct sidecar_setup){.base = f.base,
			       .name = HELPER,
			       .path = "/nonexistent/helper",
			       .ctx = &f,
			       .on_state = on_state,
			       .on_ended = on_ended},
	    &e);
	assert_non_null(f.s);
	await(&f, &f.downs, 2);
	assert_int_equal(f.ups, 0);
	sidecar_end(f.s);
	await(&f, &f.ended, 1);
	sidecar_close(f.s);
	event_base_free(f.base);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_descriptors),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_restart),
	    cmocka_unit_test(test_does_not_end),
	    cmocka_unit_test(test_must_finish),
	    cmocka_unit_test(test_hangs),
	    cmocka_unit_test(test_is_pinged),
	    cmocka_unit_test(test_anew_after_end),
	    cmocka_unit_test(test_no_program),
	};

	if (argc > 0 && strcmp(argv[0], HELPER) == 0)
		return be_helper();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
