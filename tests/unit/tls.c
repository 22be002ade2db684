/* TLS connections against an OpenSSL client in the same process, over a socket pair.
 * SPDX-License-Identifier: MIT */
#include "tests/unit/tls_pair.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>

static void
both_versions(void **state)
{
	static const struct {
		int version;
		const char *name;
	} versions[] = {{TLS1_2_VERSION, "TLSv1.2"}, {TLS1_3_VERSION, "TLSv1.3"}};
	static const unsigned char protos[] = "\x02h2\x08http/1.1";
	struct tls_context *ctx = context();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		const unsigned char *alpn;
		unsigned alpn_len;
		struct pair p;
		char buf[64];

		pair_open(&p, ctx, versions[i].version);
		SSL_set_alpn_protos(p.client, protos, sizeof(protos) - 1);
		assert_string_equal(tls_version(&p.t), "");
		assert_int_equal(pair_handshake(&p), 1);
		assert_string_equal(tls_version(&p.t), versions[i].name);
		assert_true(strlen(tls_cipher(&p.t)) > 5);
		assert_false(tls_resumed(&p.t));
		SSL_get0_alpn_selected(p.client, &alpn, &alpn_len);
		assert_int_equal(alpn_len, 8);
		server_says(&p, "hello");
		assert_int_equal(SSL_write(p.client, "ping", 4), 4);
		assert_int_equal(p.t.ops->read(&p.t, buf, 2), 2);
		assert_true(p.t.ops->pending(&p.t));
		assert_int_equal(p.t.ops->read(&p.t, buf, sizeof(buf)), 2);
		assert_false(p.t.ops->pending(&p.t));
		assert_int_equal(p.t.ops->read(&p.t, buf, sizeof(buf)), -1);
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(p.t.want, WANT_READ);
		assert_int_equal(p.t.wire_in, BIO_number_written(SSL_get_wbio(p.client)));
		assert_true(p.t.wire_out >= BIO_number_read(SSL_get_rbio(p.client)));
		assert_int_equal(ERR_peek_error(), 0);
		p.t.ops->shutdown(&p.t);
		assert_int_equal(SSL_read(p.client, buf, sizeof(buf)), 0);
		assert_int_equal(SSL_get_error(p.client, 0), SSL_ERROR_ZERO_RETURN);
		pair_close(&p);
	}
	tls_context_destroy(ctx);
}

static void
old_versions_are_refused(void **state)
{
	struct tls_context *ctx = context();
	struct pair p;

	(void)state;
	pair_open(&p, ctx, TLS1_1_VERSION);
	SSL_set_cipher_list(p.client, "ALL:@SECLEVEL=0");
	assert_int_equal(pair_handshake(&p), -1);
	assert_int_equal(errno, EPROTO);
	/* The alert says why. */
	assert_true(SSL_do_handshake(p.client) <= 0);
	assert_int_equal(
	    ERR_GET_REASON(ERR_get_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
	pair_close(&p);
	tls_context_destroy(ctx);
}

static void
no_common_protocol_goes_on(void **state)
{
	struct tls_context *ctx = context();
	struct pair p;

	(void)state;
	pair_open(&p, ctx, 0);
	SSL_set_alpn_protos(p.client, (const unsigned char *)"\x02h2", 3);
	assert_int_equal(pair_handshake(&p), 1);
	server_says(&p, "still there");
	pair_close(&p);
	tls_context_destroy(ctx);
}

/* Two contexts with one ticket key are two workers. */
static void
sessions_resume_elsewhere(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct tls_context *one = context(), *two = context(), *stranger;

	(void)state;
	ticket_key[0] ^= 0xff;
	stranger = context();
	ticket_key[0] ^= 0xff;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		SSL_SESSION *session;
		struct pair p;

		pair_open(&p, one, versions[i]);
		assert_int_equal(pair_handshake(&p), 1);
		server_says(&p, "here is a ticket");
		session = SSL_get1_session(p.client);
		p.t.ops->shutdown(&p.t);
		SSL_shutdown(p.client);
		pair_close(&p);
		for (int other = 0; other < 2; other++) {
			pair_open(&p, other ? stranger : two, versions[i]);
			assert_int_equal(SSL_set_session(p.client, session), 1);
			assert_int_equal(pair_handshake(&p), 1);
			assert_int_equal(tls_resumed(&p.t), !other);
			server_says(&p, "welcome back");
			pair_close(&p);
		}
		SSL_SESSION_free(session);
	}
	tls_context_destroy(one);
	tls_context_destroy(two);
	tls_context_destroy(stranger);
}

#define BIG (3 * 1024 * 1024 + 77)

/* Receives what there is; returns how much, checking the pattern. */
static size_t
client_takes(struct pair *p, size_t at)
{
	unsigned char buf[5000];
	size_t total = 0;
	int n;

	while ((n = SSL_read(p->client, buf, sizeof(buf))) > 0)
		for (int i = 0; i < n; i++, total++)
			if (buf[i] != (unsigned char)((at + total) * 31 >> 3))
				fail_msg("wrong byte at %zu", at + total);
	ERR_clear_error();
	return total;
}

static unsigned char *
pattern(void)
{
	unsigned char *p = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		p[i] = (unsigned char)(i * 31 >> 3);
	return p;
}

static void
big_transfer_small_buffers(void **state)
{
	struct tls_context *ctx = context();
	unsigned char *data = pattern();
	int file = memfd_create("big", MFD_CLOEXEC), small = 4096;

	(void)state;
	assert_int_equal(write(file, data, BIG), BIG);
	for (int from_file = 0; from_file < 2; from_file++) {
		size_t sent = 0, got = 0;
		int64_t off = 0;
		bool blocked = false;
		struct pair p;

		pair_open(&p, ctx, from_file ? TLS1_3_VERSION : TLS1_2_VERSION);
		assert_int_equal(pair_handshake(&p), 1);
		setsockopt(p.fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		while (got < BIG) {
			size_t split = sent + MIN((size_t)100, BIG - sent);
			struct iovec iov[] = {
			    {data + sent, split - sent}, {data + split, BIG - split}};
			ssize_t n = 0;

			if (sent < BIG && from_file)
				n = p.t.ops->sendfile(&p.t, file, &off, BIG - sent);
			else if (sent < BIG)
				n = p.t.ops->writev(&p.t, iov, 2);
			if (n < 0) {
				assert_int_equal(errno, EAGAIN);
				assert_int_equal(p.t.want, WANT_WRITE);
				blocked = true;
				n = 0;
			}
			sent += (size_t)n;
			if (n == 0)
				got += client_takes(&p, got);
		}
		assert_true(blocked);
		assert_int_equal(from_file ? off : BIG, BIG);
		assert_true(p.t.wire_out > BIG);
		if (from_file) {
			assert_int_equal(p.t.ops->sendfile(&p.t, file, &off, 10), -1);
			assert_int_equal(errno, ENODATA);
		}
		pair_close(&p);
	}
	close(file);
	free(data);
	tls_context_destroy(ctx);
}

static void
plain_http_is_recognised(void **state)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\n", "D", "options"};
	struct tls_context *ctx = context();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct pair p;
		char buf[64];

		pair_open(&p, ctx, 0);
		assert_int_equal(p.t.ops->handshake(&p.t), 0);
		assert_int_equal(
		    write(p.fds[1], texts[i], strlen(texts[i])), strlen(texts[i]));
		assert_int_equal(p.t.ops->handshake(&p.t), -1);
		assert_true(tls_peer_spoke_http(&p.t));
		/* Nothing was sent and the bytes are still there for a plain answer. */
		assert_int_equal(recv(p.fds[0], buf, sizeof(buf), 0), strlen(texts[i]));
		assert_int_equal(recv(p.fds[1], buf, sizeof(buf), 0), -1);
		pair_close(&p);
	}
	tls_context_destroy(ctx);
}

static void
garbage_and_half_handshakes(void **state)
{
	static const char *const texts[] = {"\x16\x03\x01\xff\xff garbage garbage",
	    "\x80\x80\x01\x03\x01 garbage, garbage, garbage", "\x17\x03\x03\x00\x02hi",
	    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
	struct tls_context *ctx = context();
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		pair_open(&p, ctx, 0);
		assert_true(send(p.fds[1], texts[i], strlen(texts[i]) + 1, 0) > 0);
		if (p.t.ops->handshake(&p.t) == 0) {
			shutdown(p.fds[1], SHUT_WR);
			assert_int_equal(p.t.ops->handshake(&p.t), -1);
		}
		assert_true(errno == EPROTO || errno == ECONNRESET);
		assert_false(tls_peer_spoke_http(&p.t));
		assert_int_equal(ERR_peek_error(), 0);
		p.t.ops->shutdown(&p.t);
		pair_close(&p);
	}
	pair_open(&p, ctx, 0);
	SSL_do_handshake(p.client);
	assert_int_equal(p.t.ops->handshake(&p.t), 0);
	close(p.fds[1]);
	p.fds[1] = -1;
	assert_int_equal(p.t.ops->handshake(&p.t), -1);
	assert_true(errno == ECONNRESET || errno == EPIPE);
	pair_close(&p);
	tls_context_destroy(ctx);
}

/* A peer that goes without close_notify ends its side; writing to it is an error. */
static void
peer_leaves(void **state)
{
	struct tls_context *ctx = context();
	char buf[16];
	struct pair p;

	(void)state;
	pair_open(&p, ctx, TLS1_2_VERSION);
	assert_int_equal(pair_handshake(&p), 1);
	close(p.fds[1]);
	p.fds[1] = -1;
	assert_int_equal(p.t.ops->read(&p.t, buf, sizeof(buf)), 0);
	assert_int_equal(
	    p.t.ops->writev(&p.t, &(struct iovec){(char[]){"late"}, 4}, 1), -1);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	assert_int_equal(ERR_peek_error(), 0);
	p.t.ops->shutdown(&p.t);
	pair_close(&p);
	tls_context_destroy(ctx);
}

static void
wrong_files(void **state)
{
	static char missing[] = "/nonexistent/cert.pem", bad[] = "HIGH-NONSENSE";
	const struct {
		struct conf conf;
		const char *words[3];
	} cases[] = {
	    {conf_for(missing, key_path), {"--certfile", missing, "No such file"}},
	    {conf_for(cert_path, missing), {"--keyfile", missing, "No such file"}},
	    {conf_for(cert_path, other_key_path),
		{other_key_path, "key values mismatch", ""}},
	    {conf_for(key_path, key_path), {"--certfile", key_path, "no start line"}},
	    {conf_for(cert_path, NULL), {"--keyfile", cert_path, ""}},
	    {{.certfile = cert_path, .keyfile = key_path, .ciphers = bad},
		{"--ciphers", bad, "no cipher match"}},
	    {{.certfile = cert_path, .keyfile = key_path, .cert_reqs = 2},
		{"--cert-reqs 2", "--ca-certs", ""}},
	    {{.certfile = cert_path,
		 .keyfile = key_path,
		 .cert_reqs = 1,
		 .ca_certs = missing},
		{"--ca-certs", missing, "No such file"}},
	};
	struct tls_context *ctx;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err e = {""};

		assert_null(tls_context_create(&cases[i].conf, ticket_key, &e));
		for (int w = 0; w < 3; w++)
			if (strstr(e.text, cases[i].words[w]) == NULL)
				fail_msg("%s: no `%s`", e.text, cases[i].words[w]);
		assert_int_equal(ERR_peek_error(), 0);
	}
	ctx = context_with(conf_for(both_path, NULL));
	tls_context_destroy(ctx);
}

static void
client_certificates(void **state)
{
	static const struct {
		int reqs;
		bool given;
		int expect;
		const char *subject;
	} cases[] = {{0, true, 1, ""}, {1, false, 1, ""}, {1, true, 1, "CN=localhost"},
	    {2, true, 1, "CN=localhost"}, {2, false, -1, ""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf conf = conf_for(cert_path, key_path);
		struct tls_context *ctx;
		struct pair p;
		char buf[64];

		conf.cert_reqs = cases[i].reqs;
		conf.ca_certs = cert_path;
		ctx = context_with(conf);
		pair_open(&p, ctx, TLS1_2_VERSION);
		if (cases[i].given) {
			SSL_use_certificate(p.client, cert);
			SSL_use_PrivateKey(p.client, key);
		}
		assert_int_equal(pair_handshake(&p), cases[i].expect);
		tls_client_subject(&p.t, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].subject);
		pair_close(&p);
		tls_context_destroy(ctx);
	}
}

#define IDLE 64

static void
idle_memory(void **state)
{
	struct tls_context *ctx = context();
	static struct transport idle[IDLE];
	static int fds[IDLE];
	size_t before, after;

	(void)state;
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (int i = 0; i < IDLE; i++) {
		struct pair p;

		pair_open(&p, ctx, TLS1_3_VERSION);
		/* The transport must not move once it is in use. */
		p.t.ops->finish(&p.t);
		assert_int_equal(tls_init(&idle[i], p.fds[0], ctx), 0);
		for (int turn = 0; turn < 20; turn++) {
			SSL_do_handshake(p.client);
			idle[i].ops->handshake(&idle[i]);
		}
		assert_string_equal(tls_version(&idle[i]), "TLSv1.3");
		assert_int_equal(
		    idle[i].ops->writev(&idle[i], &(struct iovec){(char[]){"x"}, 1}, 1), 1);
		assert_int_equal(idle[i].ops->read(&idle[i], &(char){0}, 1), -1);
		fds[i] = p.fds[0];
		SSL_free(p.client);
		SSL_CTX_free(p.client_ctx);
		close(p.fds[1]);
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	print_message("idle TLS connection: %zu bytes\n", (after - before) / IDLE);
	/* Sanitizers' allocators report nothing here. */
	assert_true(after - before <= IDLE * 32 * 1024);
	for (int i = 0; i < IDLE; i++) {
		idle[i].ops->finish(&idle[i]);
		close(fds[i]);
	}
	tls_context_destroy(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_versions),
	    cmocka_unit_test(old_versions_are_refused),
	    cmocka_unit_test(no_common_protocol_goes_on),
	    cmocka_unit_test(sessions_resume_elsewhere),
	    cmocka_unit_test(big_transfer_small_buffers),
	    cmocka_unit_test(plain_http_is_recognised),
	    cmocka_unit_test(garbage_and_half_handshakes),
	    cmocka_unit_test(peer_leaves),
	    cmocka_unit_test(wrong_files),
	    cmocka_unit_test(client_certificates),
	    cmocka_unit_test(idle_memory),
	};

	/* As in the I/O thread, which blocks it. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
