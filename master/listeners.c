/* The listening sockets: what systemd passed, or every --bind.
 * SPDX-License-Identifier: MIT */
#include "master/listeners.h"

#include "common/log.h"
#include "master/privs.h"
#include "master/sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SYSTEMD_FIRST_FD 3 /* sd_listen_fds(3) */
#define DEFAULT_BIND "127.0.0.1:8000"

/* 0 when the variable is unset or no number. */
static long
env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long v = text ? strtol(text, &end, 10) : 0;

	return text && *text && *end == '\0' ? v : 0;
}

static int
open_passed(struct listeners *ls, long n, const struct sock_opts *o, struct err *e)
{
	const char *names = getenv("LISTEN_FDNAMES");

	if (n > LISTENERS_MAX)
		return err_set(e, "LISTEN_FDS=%ld: at most %d sockets can be passed", n,
		    LISTENERS_MAX);
	for (int i = 0; i < n; i++) {
		struct listener *l = &ls->v[ls->n];
		size_t len = names ? strcspn(names, ":") : 0;

		if (sock_adopt(l, SYSTEMD_FIRST_FD + i, o, e) < 0)
			return err_wrap(e, "cannot use descriptor %d of LISTEN_FDS",
			    SYSTEMD_FIRST_FD + i);
		ls->n++;
		log_info("master", "socket passed", "address=%s name=%.*s", l->name,
		    (int)len, names ? names : "");
		if (names != NULL)
			names += len + (names[len] == ':');
	}
	return 0;
}

static int
open_bind(struct listeners *ls, const char *text, const struct sock_opts *o, struct err *e)
{
	struct listener *l = &ls->v[ls->n];
	struct bind_addr b;
	int rc = -1;

	if (ls->n == LISTENERS_MAX)
		return err_set(e, "cannot listen on %s: there can be %d listeners", text,
		    LISTENERS_MAX);
	if (bind_parse(&b, text, e) < 0)
		return err_wrap(e, "--bind %s", text);
	/* Counted first: a failure half-way leaves a socket file to be removed. */
	ls->n++;
	switch (b.kind) {
	case BIND_TCP:
		rc = sock_open_tcp(l, &b, o, e);
		break;
	case BIND_UNIX:
		rc = sock_open_unix(l, &b, o, e);
		break;
	case BIND_FD:
		rc = sock_adopt(l, b.fd, o, e);
		break;
	}
	return rc < 0 ? err_wrap(e, "cannot listen on %s", text) : 0;
}

static int
open_all(
    struct listeners *ls, const struct conf *c, const struct sock_opts *o, struct err *e)
{
	long passed = env_number("LISTEN_FDS");

	if (passed > 0 && env_number("LISTEN_PID") == getpid()) {
		if (c->bind.n > 0)
			log_warn("master", "bind ignored, sockets were passed",
			    "sockets=%ld", passed);
		return open_passed(ls, passed, o, e);
	}
	if (c->bind.n == 0)
		return open_bind(ls, DEFAULT_BIND, o, e);
	for (size_t i = 0; i < c->bind.n; i++)
		if (open_bind(ls, c->bind.v[i], o, e) < 0)
			return -1;
	return 0;
}

int
listeners_open(
    struct listeners *ls, const struct conf *c, const struct privs *privs, struct err *e)
{
	struct sock_opts o = {
	    .backlog = (int)c->backlog,
	    .reuse_port = c->reuse_port,
	    .mode = (mode_t)(c->socket_mode & ~c->umask),
	    .chown = privs->drop,
	    .uid = privs->uid,
	    .gid = privs->gid,
	};
	int rc;

	ls->n = 0;
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		ls->v[i] = (struct listener){.fd = -1};
	rc = open_all(ls, c, &o, e);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	return rc;
}

/* A listening socket cannot be told to complete what has begun and begin nothing new. But
 * its filter sees every segment: one without ACK is a SYN (the data begins at the TCP
 * header, flags in byte 13), which is dropped, and the client tries again in a second. */
void
listeners_refuse(struct listeners *ls)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x10, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog prog = {ARRAY_LEN(code), code};

	for (size_t i = 0; i < ls->n; i++) {
		const struct listener *l = &ls->v[i];

		if (l->made && !l->is_unix &&
		    setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) <
			0)
			log_debug("master", "no filter on the listener",
			    "address=%s reason=\"%s\"", l->name, strerror(errno));
	}
}

void
listeners_close(struct listeners *ls)
{
	for (size_t i = 0; i < ls->n; i++) {
		struct listener *l = &ls->v[i];
		struct stat st;

		if (l->path[0] != '\0' && lstat(l->path, &st) == 0 && st.st_dev == l->dev &&
		    st.st_ino == l->ino)
			unlink(l->path);
		if (l->fd >= 0)
			close(l->fd);
	}
	ls->n = 0;
}
