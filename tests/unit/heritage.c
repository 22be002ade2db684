/* Heritage: what the master writes is what the worker reads, and nothing else is accepted.
 * SPDX-License-Identifier: MIT */
#include "common/conf_set.h"
#include "common/heritage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <sys/mman.h>

#include <cmocka.h>

static void
fill(struct heritage *h)
{
	static struct heritage_listener listeners[2] = {
	    {.fd = 8, .tls = true, .name = "127.0.0.1:8000"},
	    {.fd = 9, .is_unix = true, .name = "unix:/run/shop.sock"},
	};

	memset(h, 0, sizeof(*h));
	conf_init(&h->conf);
	h->listeners = listeners;
	h->n_listeners = 2;
	h->slot = 3;
	h->generation = 4294967295u;
	h->epoch = 7;
	h->workers = 8;
	strcpy(h->python, "/usr/bin/python3");
	strcpy(h->plugin, "/usr/lib/shoal/plugin.so");
	for (size_t i = 0; i < sizeof(h->ticket_key); i++)
		h->ticket_key[i] = (uint8_t)(i * 7);
}

static void
clear(struct heritage *h)
{
	h->listeners = NULL; /* fill's are static */
	heritage_finish(h);
}

static void
set(struct conf *c, enum conf_id id, const char *text)
{
	struct conf_source src = {.origin = "test"};

	assert_int_equal(conf_set_text(c, id, text, &src, NULL), 0);
}

static void
test_round_trip(void **state)
{
	struct heritage a, b;
	struct err e = {""};
	int fd;

	(void)state;
	fill(&a);
	a.conf.app = strdup("shop.wsgi:application");
	a.conf.config_file = strdup("/srv/gunicorn.conf.py");
	a.conf.hooks = true;
	set(&a.conf, CONF_timeout, "1h30m");
	set(&a.conf, CONF_socket_mode, "0660");
	set(&a.conf, CONF_bind, "unix:/run/shop.sock");
	set(&a.conf, CONF_root_path, "/shöp \"quoted\"");
	fd = heritage_write(&a, &e);
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(heritage_read(&b, fd, &e), 0);
	assert_string_equal(b.conf.app, "shop.wsgi:application");
	assert_string_equal(b.conf.config_file, "/srv/gunicorn.conf.py");
	assert_true(b.conf.hooks);
	assert_int_equal(b.conf.timeout, 5400000);
	assert_int_equal(b.conf.socket_mode, 0660);
	assert_int_equal(b.conf.bind.n, 1);
	assert_string_equal(b.conf.bind.v[0], "unix:/run/shop.sock");
	assert_string_equal(b.conf.root_path, "/shöp \"quoted\"");
	assert_int_equal(b.n_listeners, 2);
	assert_memory_equal(b.listeners, a.listeners, 2 * sizeof(*a.listeners));
	assert_int_equal(b.slot, 3);
	assert_int_equal(b.generation, 4294967295u);
	assert_int_equal(b.epoch, 7);
	assert_int_equal(b.workers, 8);
	assert_string_equal(b.python, "/usr/bin/python3");
	assert_string_equal(b.libpython, "");
	assert_memory_equal(a.ticket_key, b.ticket_key, sizeof(a.ticket_key));
	heritage_finish(&b);
	clear(&a);
	close(fd);
}

static void
test_sealed(void **state)
{
	struct heritage h;
	struct err e;
	int fd;

	(void)state;
	fill(&h);
	fd = heritage_write(&h, &e);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 0), -1);
	clear(&h);
	close(fd);
}

/* What heritage_write writes, with `from` replaced by `to`. */
static int
forge(const char *from, const char *to)
{
	static char text[65536], out[65536];
	struct heritage h;
	struct err e;
	char *at;
	ssize_t n;
	int fd;

	fill(&h);
	fd = heritage_write(&h, &e);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
	clear(&h);
	at = strstr(text, from);
	assert_non_null(at);
	n = snprintf(
	    out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	fd = memfd_create("forged", MFD_CLOEXEC);
	assert_int_equal(write(fd, out, (size_t)n), n);
	return fd;
}

static const struct {
	const char *from, *to, *message;
} forged[] = {
    {"\"version\":\"" SHOAL_VERSION "\"", "\"version\":\"0.0.1\"",
	"heritage: written by version 0.0.1, read by " SHOAL_VERSION
	": shoal and shoal-worker must be installed together"},
    {"\"slot\":3", "\"slot\":-3", "heritage: slot: expected a number from 0 to 4294967295"},
    {"\"epoch\":7", "\"epoch\":\"7\"",
	"heritage: epoch: expected a number from 0 to 4294967295"},
    {"\"fd\":8", "\"fd\":4294967296",
	"heritage: listeners: fd: expected a number from 0 to 2147483647"},
    {"\"tls\":true", "\"tls\":1", "heritage: listeners: tls: expected true or false"},
    {"\"python\":\"/usr", "\"pythom\":\"/usr",
	"heritage: python: expected a string of less than 1024 bytes"},
    {"\"ticket_key\":\"00", "\"ticket_key\":\"0g",
	"heritage: ticket_key: expected 160 hexadecimal digits"},
    {"\"backlog\":2048", "\"backlog\":0",
	"heritage: --backlog \"0\" (default): expected a whole number from 1 to 65535"},
    {"\"backlog\":2048", "\"backlag\":2048",
	"heritage: configuration: unknown key backlag"},
    {"{", "[", "heritage: ']' expected near ':'"},
};

static void
test_strict(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forged); i++) {
		int fd = forge(forged[i].from, forged[i].to);
		struct heritage h;
		struct err e = {""};

		assert_int_equal(heritage_read(&h, fd, &e), -1);
		assert_string_equal(e.text, forged[i].message);
		heritage_finish(&h);
		close(fd);
	}
}

static void
test_other_table(void **state)
{
	int fd = forge("\"backlog\":2048,", "");
	struct heritage h;
	struct err e = {""};

	(void)state;
	assert_int_equal(heritage_read(&h, fd, &e), -1);
	assert_non_null(strstr(e.text, "heritage: conf: expected "));
	heritage_finish(&h);
	close(fd);
}

static void
test_no_file(void **state)
{
	int fd = memfd_create("empty", MFD_CLOEXEC);
	struct heritage h;
	struct err e = {""};

	(void)state;
	assert_int_equal(heritage_read(&h, fd, &e), -1);
	assert_non_null(strstr(e.text, "expected 1 to 4194304 bytes"));
	heritage_finish(&h);
	close(fd);
	assert_int_equal(heritage_read(&h, -1, &e), -1);
	assert_non_null(strstr(e.text, "Bad file descriptor"));
	heritage_finish(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_sealed),
	    cmocka_unit_test(test_strict),
	    cmocka_unit_test(test_other_table),
	    cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
