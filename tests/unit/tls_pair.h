/* An OpenSSL client and a server's transport in one process, and certificates made for the
 * run: for the TLS unit test. SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"
#include "worker/net/transport.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>

#define TURNS 100000

static char dir[] = "/tmp/shoal-tls-XXXXXX";
static char cert_path[64], key_path[64], other_key_path[64], both_path[64];
static uint8_t ticket_key[80] = {1, 2, 3};
static X509 *cert;
static EVP_PKEY *key, *other_key;

/* Both ends of one connection. */
struct pair {
	struct transport t;
	int fds[2]; /* server, client */
	SSL_CTX *client_ctx;
	SSL *client;
};

static inline struct conf
conf_for(char *certfile, char *keyfile)
{
	return (struct conf){.certfile = certfile, .keyfile = keyfile};
}

static inline struct tls_context *
context_with(struct conf conf)
{
	struct err e = {""};
	struct tls_context *ctx = tls_context_create(&conf, ticket_key, &e);

	if (ctx == NULL)
		fail_msg("%s", e.text);
	return ctx;
}

static inline struct tls_context *
context(void)
{
	return context_with(conf_for(cert_path, key_path));
}

static inline void
pair_open(struct pair *p, struct tls_context *ctx, int version)
{
	memset(p, 0, sizeof(*p));
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds), 0);
	assert_int_equal(tls_init(&p->t, p->fds[0], ctx), 0);
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	if (version != 0) {
		SSL_CTX_set_min_proto_version(p->client_ctx, version);
		SSL_CTX_set_max_proto_version(p->client_ctx, version);
	}
	p->client = SSL_new(p->client_ctx);
	SSL_set_fd(p->client, p->fds[1]);
	SSL_set_connect_state(p->client);
}

static inline void
pair_close(struct pair *p)
{
	p->t.ops->finish(&p->t);
	SSL_free(p->client);
	SSL_CTX_free(p->client_ctx);
	close(p->fds[0]);
	if (p->fds[1] >= 0)
		close(p->fds[1]);
}

/* 1 when both sides are through, -1 when the server gave up. */
static inline int
pair_handshake(struct pair *p)
{
	int server = 0, client = 0;

	for (int i = 0; i < TURNS && (server != 1 || client != 1); i++) {
		if (client != 1)
			client = SSL_do_handshake(p->client);
		if (server != 1)
			server = p->t.ops->handshake(&p->t);
		if (server < 0)
			return -1;
		assert_true(
		    server == 1 || p->t.want == WANT_READ || p->t.want == WANT_WRITE);
		ERR_clear_error();
	}
	assert_int_equal(server, 1);
	assert_int_equal(client, 1);
	return 1;
}

static inline void
server_says(struct pair *p, const char *text)
{
	struct iovec iov[] = {{(char *)text, 1}, {(char *)text + 1, strlen(text) - 1}};
	char buf[256];
	int n;

	assert_int_equal(p->t.ops->writev(&p->t, iov, 2), strlen(text));
	n = SSL_read(p->client, buf, sizeof(buf));
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static inline EVP_PKEY *
make_key(const char *path)
{
	EVP_PKEY *k = EVP_EC_gen("P-256");
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	return k;
}

static inline void
write_cert(const char *path, bool with_key)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	PEM_write_X509(f, cert);
	if (with_key)
		PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
}

static inline int
setup(void **state)
{
	X509_NAME *name;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(cert_path, sizeof(cert_path), "%s/cert.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(other_key_path, sizeof(other_key_path), "%s/other.pem", dir);
	snprintf(both_path, sizeof(both_path), "%s/both.pem", dir);
	key = make_key(key_path);
	other_key = make_key(other_key_path);
	cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	name = X509_get_subject_name(cert);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	write_cert(cert_path, false);
	write_cert(both_path, true);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	unlink(cert_path);
	unlink(key_path);
	unlink(other_key_path);
	unlink(both_path);
	rmdir(dir);
	X509_free(cert);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	return 0;
}
