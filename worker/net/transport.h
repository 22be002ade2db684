/* The bytes of one connection, plain or through TLS, behind one table of functions.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

#include <sys/types.h>
#include <sys/uio.h>

struct transport;
struct tls_context;

/*
 * All non-blocking, on the I/O thread. read: > 0 bytes, 0 end of the peer's side, -1 with
 * errno (EAGAIN: come back when t->want says; anything else: the connection is dead).
 * writev and sendfile: bytes taken, or -1 with errno as for read. Nothing raises SIGPIPE.
 */
struct transport_ops {
	/* 1 done, 0 come back when t->want says, -1 failed (logged at debug, counted). */
	int (*handshake)(struct transport *t);
	ssize_t (*read)(struct transport *t, void *buf, size_t n);
	ssize_t (*writev)(struct transport *t, const struct iovec *iov, int n);
	/* At most n bytes of fd from *off on; *off is moved on. ENODATA: the file ended
	 * before *off, EIO and others: it cannot be read. */
	ssize_t (*sendfile)(struct transport *t, int fd, int64_t *off, size_t n);
	/* Bytes already decrypted that no poll will announce. */
	bool (*pending)(const struct transport *t);
	/* Says "no more from us" (close_notify, shutdown(SHUT_WR)); best effort. */
	void (*shutdown)(struct transport *t);
	/* Frees what the transport holds; the descriptor is the connection's. */
	void (*finish)(struct transport *t);
};

enum { WANT_READ = 1, WANT_WRITE = 2 };

struct transport {
	const struct transport_ops *ops;
	int fd;
	uint8_t want; /* after EAGAIN: WANT_READ or WANT_WRITE */
	void *tls;    /* struct tls of tls.c, owned; NULL for plain */
	uint64_t
	    wire_in; /* bytes read from the socket, TLS framing and handshake included */
	uint64_t wire_out;  /* bytes the kernel took */
	uint64_t wire_part; /* of these, of a record it has not taken the whole of */
	bool fin;           /* our side is shut, and the peer could be told */
};

extern const struct transport_ops transport_plain;

/* Shuts our side of the socket. Best effort: a peer that is gone needs no goodbye. */
void transport_fin(struct transport *t);

void plain_init(struct transport *t, int fd);

/* TLS: worker/net/tls.c. t must not move after this. -1 without memory. */
NODISCARD int tls_init(struct transport *t, int fd, struct tls_context *ctx);
/* The peer spoke plain HTTP to the TLS port (known after a failed handshake). */
bool tls_peer_spoke_http(const struct transport *t);
/* Facts for the environ and the log after the handshake; "" when unknown. */
const char *tls_version(const struct transport *t);
const char *tls_cipher(const struct transport *t);
bool tls_resumed(const struct transport *t);
/* Subject of the verified client certificate into buf, RFC 2253; "" without one. */
void tls_client_subject(const struct transport *t, char *buf, size_t cap);

struct conf;
/* One per worker, from --certfile and friends: file, line and OpenSSL's reason on failure.
 * ticket_key is shared by all workers so that a session resumes anywhere. */
NODISCARD struct tls_context *tls_context_create(
    const struct conf *conf, const uint8_t ticket_key[80], struct err *e);
/* When its certificate ends, Unix time; 0: that cannot be told. name: what for, that is its
 * first DNS name or else its subject's common name; cut, "" without one. */
int64_t tls_context_certificate(const struct tls_context *ctx, char *name, size_t cap);
void tls_context_destroy(struct tls_context *ctx);
