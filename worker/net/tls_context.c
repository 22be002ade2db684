/* What all TLS connections of a worker share: certificate, key, policy, ticket key.
 * SPDX-License-Identifier: MIT */
#include "worker/net/tls_context.h"

#include "common/conf.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

/* TLS 1.2 with forward secrecy and AEAD only; TLS 1.3 has its own list. */
#define CIPHERS_DEFAULT "ECDHE+AESGCM:ECDHE+CHACHA20"
#define SESSION_SECONDS 7200

static const unsigned char session_id_context[] = "shoal";

/* The oldest reason of OpenSSL's queue (the one nearest to the cause), which is emptied. */
static int
fail(struct err *e, const char *what, const char *file)
{
	unsigned long code = ERR_get_error();
	const char *reason = NULL;
	char buf[120];

	if (ERR_GET_LIB(code) == ERR_LIB_SYS) {
		reason = strerror(ERR_GET_REASON(code));
	} else if (code != 0) {
		reason = ERR_reason_error_string(code);
		if (reason == NULL) {
			ERR_error_string_n(code, buf, sizeof(buf));
			reason = buf;
		}
	}
	ERR_clear_error();
	return err_set(e, "%s %s: %s", what, file, reason == NULL ? "not usable" : reason);
}

/* No prompt in a server: an encrypted key is an error that says so. */
static int
on_passphrase(char *buf, int size, int rwflag, void *arg)
{
	bool *asked = arg;

	(void)buf;
	(void)size;
	(void)rwflag;
	*asked = true;
	return -1;
}

static int
load_certificate(SSL_CTX *ctx, const struct conf *conf, struct err *e)
{
	const char *key = conf->keyfile != NULL ? conf->keyfile : conf->certfile;
	bool asked = false;

	if (conf->certfile == NULL)
		return err_set(e, "--certfile is needed for TLS");
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->certfile) != 1)
		return fail(e, "cannot load the certificate (--certfile)", conf->certfile);
	SSL_CTX_set_default_passwd_cb(ctx, on_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, &asked);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		if (!asked && conf->keyfile == NULL)
			return fail(e,
			    "--keyfile is not set, and there is no usable private key "
			    "in --certfile",
			    key);
		if (!asked)
			return fail(e, "cannot load the private key (--keyfile)", key);
		ERR_clear_error();
		return err_set(e,
		    "cannot load the private key (--keyfile) %s: it is encrypted; "
		    "give one without a passphrase",
		    key);
	}
	SSL_CTX_set_default_passwd_cb(ctx, NULL);
	SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
	if (SSL_CTX_check_private_key(ctx) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, "the private key %s does not belong to the certificate %s", key,
	    conf->certfile);
}

static int
load_authorities(SSL_CTX *ctx, const struct conf *conf, struct err *e)
{
	int mode = SSL_VERIFY_PEER;
	STACK_OF(X509_NAME) * names;

	if (conf->cert_reqs == 0)
		return 0;
	if (conf->ca_certs == NULL)
		return err_set(e, "--cert-reqs %d needs --ca-certs", (int)conf->cert_reqs);
	if (SSL_CTX_load_verify_file(ctx, conf->ca_certs) != 1)
		return fail(e, "cannot load the authorities (--ca-certs)", conf->ca_certs);
	names = SSL_load_client_CA_file(conf->ca_certs);
	if (names == NULL)
		return fail(e, "cannot load the authorities (--ca-certs)", conf->ca_certs);
	SSL_CTX_set_client_CA_list(ctx, names);
	if (conf->cert_reqs == 2)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ctx, mode, NULL);
	return 0;
}

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	/* A client that offers only other protocols still gets HTTP/1.1, as from gunicorn.
	 */
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void
set_policy(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* HTTP's own framing tells a cut message from a whole one (RFC 9112 9.8), so that a
	 * missing close_notify is not worth an error. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
				     SSL_OP_ENABLE_KTLS | SSL_OP_CIPHER_SERVER_PREFERENCE |
				     SSL_OP_PRIORITIZE_CHACHA |
				     SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	/* Sessions live in tickets; a cache of one worker is of no use to the others. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(
	    ctx, session_id_context, sizeof(session_id_context) - 1);
	SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
}

static int
context_fill(
    SSL_CTX *ctx, const struct conf *conf, const uint8_t ticket_key[80], struct err *e)
{
	uint8_t key[80];
	const char *ciphers = conf->ciphers != NULL ? conf->ciphers : CIPHERS_DEFAULT;
	long ok;

	set_policy(ctx);
	memcpy(key, ticket_key, sizeof(key));
	ok = SSL_CTX_set_tlsext_ticket_keys(ctx, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	if (ok != 1)
		return fail(e, "TLS:", "session ticket key");
	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1)
		return fail(e, "--ciphers", ciphers);
	if (load_certificate(ctx, conf, e) < 0)
		return -1;
	return load_authorities(ctx, conf, e);
}

struct tls_context *
tls_context_create(const struct conf *conf, const uint8_t ticket_key[80], struct err *e)
{
	struct tls_context *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		err_set(e, "no memory");
		return NULL;
	}
	ERR_clear_error();
	t->ssl_ctx = SSL_CTX_new(TLS_server_method());
	if (t->ssl_ctx == NULL)
		fail(e, "TLS:", "context");
	else if (context_fill(t->ssl_ctx, conf, ticket_key, e) == 0)
		return t;
	tls_context_destroy(t);
	return NULL;
}

static void
name_of(X509 *cert, char *name, size_t cap)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	name[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(all) && name[0] == '\0'; i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);

		if (one->type == GEN_DNS)
			snprintf(name, cap, "%.*s", ASN1_STRING_length(one->d.dNSName),
			    (const char *)ASN1_STRING_get0_data(one->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	if (name[0] == '\0' && X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
				   NID_commonName, name, (int)cap) < 0)
		name[0] = '\0';
}

int64_t
tls_context_certificate(const struct tls_context *ctx, char *name, size_t cap)
{
	X509 *cert = SSL_CTX_get0_certificate(ctx->ssl_ctx);
	struct tm end;
	bool known = cert != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(cert), &end) == 1;

	name[0] = '\0';
	if (known)
		name_of(cert, name, cap);
	ERR_clear_error();
	return known ? (int64_t)timegm(&end) : 0;
}

void
tls_context_destroy(struct tls_context *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ssl_ctx);
	free(t);
}
