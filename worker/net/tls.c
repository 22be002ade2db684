/* A connection's bytes through OpenSSL: handshake, records, alerts, errno for the caller.
 * SPDX-License-Identifier: MIT */
#include "common/log.h"
#include "worker/net/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#define RECORD_MAX 16384
#define FILE_READ 65536 /* what a turn of sendfile reads ahead without kernel TLS */

/*
 * Writes go through OpenSSL's socket BIO, which kernel TLS needs and which knows no
 * MSG_NOSIGNAL: the I/O thread blocks every signal, so a SIGPIPE stays pending on it and
 * does nothing, whatever the application made of its disposition.
 */
struct tls {
	SSL *ssl;             /* owned */
	uint64_t unseen_wire; /* what the kernel adds or sends itself: no BIO counts it */
	bool handshaken;
	bool dead;    /* after a fatal error no close_notify may follow */
	bool drained; /* the last read said "come back": nothing is pending */
	bool spoke_http;
};

static const struct transport_ops transport_tls;

static void
wire_update(struct transport *t)
{
	struct tls *tls = t->tls;

	t->wire_in = BIO_number_read(SSL_get_rbio(tls->ssl));
	t->wire_out = BIO_number_written(SSL_get_wbio(tls->ssl)) + tls->unseen_wire;
}

int
tls_init(struct transport *t, int fd, struct tls_context *ctx)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	*t = (struct transport){.ops = &transport_tls, .fd = fd, .want = WANT_READ};
	if (tls == NULL)
		return -1;
	tls->ssl = SSL_new(ctx->ssl_ctx);
	if (tls->ssl == NULL || SSL_set_fd(tls->ssl, fd) != 1) {
		SSL_free(tls->ssl);
		free(tls);
		ERR_clear_error();
		return -1;
	}
	SSL_set_accept_state(tls->ssl);
	t->tls = tls;
	return 0;
}

/* What the last SSL_ call's result means. 0: the peer's side ended; -1 with errno and,
 * for EAGAIN, t->want. Leaves OpenSSL's error queue empty. */
static int
map_error(struct transport *t, int rc)
{
	struct tls *tls = t->tls;
	int saved = errno, verdict = SSL_get_error(tls->ssl, rc);

	if (verdict == SSL_ERROR_WANT_READ || verdict == SSL_ERROR_WANT_WRITE) {
		t->want = verdict == SSL_ERROR_WANT_READ ? WANT_READ : WANT_WRITE;
		ERR_clear_error();
		errno = EAGAIN;
		return -1;
	}
	if (verdict == SSL_ERROR_ZERO_RETURN) {
		ERR_clear_error();
		return 0;
	}
	tls->dead = true;
	ERR_clear_error();
	if (verdict == SSL_ERROR_SYSCALL)
		errno = saved != 0 && saved != EAGAIN ? saved : ECONNRESET;
	else
		errno = EPROTO;
	return -1;
}

/* A TLS record begins with its type, 20 to 24; a request line with a letter. Looked at
 * before OpenSSL takes the bytes, so that the connection can still answer in plain text. */
static bool
peek_plain_http(const struct transport *t)
{
	char c;

	return recv(t->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
	       ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
}

static int
tls_handshake(struct transport *t)
{
	struct tls *tls = t->tls;
	const char *reason;
	int rc;

	if (tls->handshaken)
		return 1;
	if (t->wire_in == 0 && peek_plain_http(t)) {
		tls->spoke_http = tls->dead = true;
		errno = EPROTO;
		return -1;
	}
	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(tls->ssl);
	wire_update(t);
	if (rc == 1) {
		tls->handshaken = true;
		/* A record's header and its body in one recv; the kernel reads whole
		 * records. */
		SSL_set_read_ahead(tls->ssl, !BIO_get_ktls_recv(SSL_get_rbio(tls->ssl)));
		t->want = WANT_READ;
		return 1;
	}
	reason = ERR_reason_error_string(ERR_peek_error());
	/* The request came between the look above and the handshake; OpenSSL sends no alert
	 * for it, so the plain answer is the first thing on the wire. */
	if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST)
		tls->spoke_http = true;
	if (map_error(t, rc) < 0 && errno == EAGAIN)
		return 0;
	tls->dead = true;
	if (errno == 0)
		errno = ECONNRESET;
	log_debug("tls", "handshake failed", "reason=\"%s\"",
	    reason == NULL ? strerror(errno) : reason);
	return -1;
}

static ssize_t
tls_read(struct transport *t, void *buf, size_t n)
{
	struct tls *tls = t->tls;
	size_t got = 0;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(tls->ssl, buf, n, &got);
	wire_update(t);
	tls->drained = rc != 1;
	return rc == 1 ? (ssize_t)got : map_error(t, rc);
}

/* Header 5, tag 16, and the explicit nonce of 1.2 or the inner type of 1.3. */
static unsigned
record_overhead(const struct tls *tls)
{
	return SSL_version(tls->ssl) == TLS1_3_VERSION ? 22 : 29;
}

/* Bytes taken of p[0..n), -1 with errno. One record at a time: the caller goes on. */
static ssize_t
write_some(struct transport *t, const void *p, size_t n)
{
	struct tls *tls = t->tls;
	const uint64_t before = t->wire_out - t->wire_part;
	size_t done = 0;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_write_ex(tls->ssl, p, n, &done);
	wire_update(t);
	if (rc == 1 && BIO_get_ktls_send(SSL_get_wbio(tls->ssl))) {
		tls->unseen_wire += record_overhead(tls);
		wire_update(t);
	}
	t->wire_part = rc == 1 ? 0 : t->wire_out - before;
	if (rc == 1)
		return (ssize_t)done;
	if (map_error(t, rc) == 0)
		errno = EPIPE;
	return -1;
}

/* Small pieces (a head and its body) go into one record. Returns the bytes put into buf. */
static size_t
gather(char *buf, const struct iovec *iov, int n, size_t skip)
{
	size_t used = 0;

	for (int i = 0; i < n && used < RECORD_MAX; i++) {
		size_t part = MIN(iov[i].iov_len - skip, RECORD_MAX - used);

		memcpy(buf + used, (const char *)iov[i].iov_base + skip, part);
		used += part;
		skip = 0;
	}
	return used;
}

static ssize_t
tls_writev(struct transport *t, const struct iovec *iov, int n)
{
	char buf[RECORD_MAX];
	size_t skip = 0;
	ssize_t total = 0, done;

	while (n > 0) {
		size_t left = iov->iov_len - skip;

		/* After "come back" OpenSSL wants the same bytes again, at any address: the
		 * caller's queue begins with them, and gathering is the same each time. */
		if (left >= RECORD_MAX || n == 1)
			done = left == 0
				   ? 0
				   : write_some(t, (char *)iov->iov_base + skip, left);
		else
			done = write_some(t, buf, gather(buf, iov, n, skip));
		if (done < 0)
			return total > 0 ? total : -1;
		total += done;
		for (skip += (size_t)done; n > 0 && skip >= iov->iov_len; iov++, n--)
			skip -= iov->iov_len;
	}
	return total;
}

/* The kernel encrypts: what it adds per record is counted from the cipher's overhead. */
static ssize_t
kernel_sendfile(struct transport *t, int fd, int64_t *off, size_t n)
{
	struct tls *tls = t->tls;
	ossl_ssize_t sent;

	ERR_clear_error();
	errno = 0;
	sent = SSL_sendfile(tls->ssl, fd, *off, n, 0);
	if (sent > 0) {
		uint64_t records = ((uint64_t)sent + RECORD_MAX - 1) / RECORD_MAX;

		*off += sent;
		tls->unseen_wire += (uint64_t)sent + records * record_overhead(tls);
		wire_update(t);
		return sent;
	}
	if (sent == 0) {
		errno = ENODATA;
		return -1;
	}
	if (map_error(t, (int)sent) == 0)
		errno = EPIPE;
	return -1;
}

static ssize_t
tls_sendfile(struct transport *t, int fd, int64_t *off, size_t n)
{
	struct tls *tls = t->tls;
	char buf[FILE_READ];
	ssize_t got, done = 0, total = 0;

	if (BIO_get_ktls_send(SSL_get_wbio(tls->ssl)))
		return kernel_sendfile(t, fd, off, n);
	do
		got = pread(fd, buf, MIN(n, sizeof(buf)), *off);
	while (got < 0 && errno == EINTR);
	if (got <= 0) {
		if (got == 0)
			errno = ENODATA;
		else if (errno == EAGAIN)
			errno = EIO;
		return -1;
	}
	while (total < got) {
		done = write_some(t, buf + total, (size_t)(got - total));
		if (done < 0)
			break;
		total += done;
	}
	*off += total;
	return total > 0 ? total : -1;
}

static bool
tls_pending(const struct transport *t)
{
	const struct tls *tls = t->tls;

	return tls->handshaken && !tls->dead && !tls->drained &&
	       SSL_has_pending(tls->ssl) == 1;
}

static void
tls_shutdown(struct transport *t)
{
	struct tls *tls = t->tls;

	if (tls->handshaken && !tls->dead) {
		ERR_clear_error();
		/* Best effort, once: the peer's answer is not waited for. */
		(void)SSL_shutdown(tls->ssl);
		ERR_clear_error();
		wire_update(t);
	}
	transport_fin(t);
}

static void
tls_finish(struct transport *t)
{
	struct tls *tls = t->tls;

	if (tls != NULL) {
		SSL_free(tls->ssl);
		ERR_clear_error();
		free(tls);
	}
	t->tls = NULL;
	t->ops = NULL;
}

static const struct transport_ops transport_tls = {
    .handshake = tls_handshake,
    .read = tls_read,
    .writev = tls_writev,
    .sendfile = tls_sendfile,
    .pending = tls_pending,
    .shutdown = tls_shutdown,
    .finish = tls_finish,
};

bool
tls_peer_spoke_http(const struct transport *t)
{
	const struct tls *tls = t->tls;

	return tls != NULL && tls->spoke_http;
}

const char *
tls_version(const struct transport *t)
{
	const struct tls *tls = t->tls;

	return tls == NULL || !tls->handshaken ? "" : SSL_get_version(tls->ssl);
}

const char *
tls_cipher(const struct transport *t)
{
	const struct tls *tls = t->tls;

	return tls == NULL || !tls->handshaken ? "" : SSL_get_cipher_name(tls->ssl);
}

bool
tls_resumed(const struct transport *t)
{
	const struct tls *tls = t->tls;

	return tls != NULL && tls->handshaken && SSL_session_reused(tls->ssl) == 1;
}

void
tls_client_subject(const struct transport *t, char *buf, size_t cap)
{
	const struct tls *tls = t->tls;
	X509 *cert = NULL;
	BIO *out = NULL;
	int n = 0;

	if (cap == 0)
		return;
	if (tls != NULL && SSL_get_verify_result(tls->ssl) == X509_V_OK)
		cert = SSL_get0_peer_certificate(tls->ssl);
	if (cert != NULL)
		out = BIO_new(BIO_s_mem());
	if (out != NULL &&
	    X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(out, buf, (int)MIN(cap - 1, (size_t)65536));
	buf[MAX(n, 0)] = 0;
	BIO_free(out);
	ERR_clear_error();
}
