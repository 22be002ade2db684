/* How a worker steps back from TLS clients, and asks itself behind a TLS listener.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/support/net_server.h"
#include "tests/unit/tls_pair.h"

#include <poll.h>
#include <sys/time.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static SSL_CTX *client_ctx;

static int
on_setup(void **state)
{
	(void)state;
	client_ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_options(client_ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
	net_server_open();
	worker.heritage.listeners[0].tls = true;
	worker.heritage.conf.certfile = strdup(cert_path);
	worker.heritage.conf.keyfile = strdup(key_path);
	net_server_run();
	return 0;
}

static int
on_teardown(void **state)
{
	(void)state;
	SSL_CTX_free(client_ctx);
	return 0;
}

static SSL *
client(void)
{
	const struct timeval patience = {.tv_sec = 5};
	int fd = net_server_client();
	SSL *ssl = SSL_new(client_ctx);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void
client_close(SSL *ssl)
{
	close(SSL_get_fd(ssl));
	SSL_free(ssl);
}

/* True: the answer announces the end. */
static bool
asked(SSL *ssl)
{
	char buf[1024];
	int n = 0, got;

	assert_true(SSL_write(ssl, GET("/hello"), sizeof(GET("/hello")) - 1) > 0);
	do {
		got = SSL_read(ssl, buf + n, (int)sizeof(buf) - 1 - n);
		assert_true(got > 0);
		n += got;
		buf[n] = '\0';
	} while (strstr(buf, "hello") == NULL);
	return strstr(buf, "\r\nConnection: close\r\n") != NULL;
}

static void
ends(SSL *ssl)
{
	char byte;

	assert_int_equal(SSL_read(ssl, &byte, 1), 0);
	client_close(ssl);
}

static void
test_drain(void **state)
{
	const struct msg_drain order = {.graceful_ms = 5000, .idle_ms = 500};
	SSL *used = client(), *idle = client(), *fresh = client(), *connected = client();
	int64_t before;

	(void)state;
	assert_false(asked(used));
	before = net_server_now();
	assert_false(asked(idle));
	assert_int_equal(SSL_connect(fresh), 1);
	net_server_wait_stat(STAT_connections, 4);
	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_wait_accepting(false);
	assert_true(asked(used));
	assert_true(asked(fresh));
	assert_true(asked(connected)); /* its handshake comes only now */
	ends(used);
	ends(fresh);
	ends(connected);
	ends(idle);
	assert_in_range(net_server_now() - before, 500, 3000);
	net_server_join();
}

static void
test_check(void **state)
{
	const struct msg_drain order = {.graceful_ms = 1000};
	struct msg_checked checked;

	(void)state;
	net_server_tell(MSG_CHECK, "/https", 6);
	memcpy(&checked, net_server_heard()->payload, sizeof(checked));
	assert_int_equal(checked.status, 200);
	net_server_tell(MSG_DRAIN, &order, sizeof(order));
	net_server_join();
}

#define SERVED(f) cmocka_unit_test_setup_teardown(f, on_setup, on_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    SERVED(test_drain),
	    SERVED(test_check),
	};

	return cmocka_run_group_tests_name("tls_drain", tests, setup, teardown);
}
