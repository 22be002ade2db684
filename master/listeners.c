/* The listening sockets: what systemd passed, or every --bind.
 * SPDX-License-Identifier: MIT */
#include "master/listeners.h"

#include "common/log.h"
#include "master/notify.h"
#include "master/privs.h"
#include "master/sock.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SYSTEMD_FIRST_FD 3 /* sd_listen_fds(3) */
#define PASSED_MAX (2 * LISTENERS_MAX)
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

/* What systemd passed: sockets of socket units, and those we had put into its store. */
struct passed {
	size_t n;
	struct {
		int fd; /* -1: somebody has it now */
		struct str name;
	} v[PASSED_MAX];
	size_t n_stored;
};

static int
read_passed(struct passed *p, struct err *e)
{
	const char *names = getenv("LISTEN_FDNAMES");
	long n = env_number("LISTEN_PID") == getpid() ? env_number("LISTEN_FDS") : 0;

	*p = (struct passed){0};
	if (n > PASSED_MAX)
		return err_set(
		    e, "LISTEN_FDS=%ld: at most %d sockets can be passed", n, PASSED_MAX);
	for (; n > 0 && p->n < (size_t)n; p->n++) {
		struct str name = {names, names ? strcspn(names, ":") : 0};

		p->v[p->n].fd = SYSTEMD_FIRST_FD + (int)p->n;
		p->v[p->n].name = name;
		p->n_stored += notify_is_fd_name(name);
		if (names != NULL)
			names += name.n + (names[name.n] == ':');
	}
	return 0;
}

static int
open_passed(
    struct listeners *ls, struct passed *p, const struct sock_opts *o, struct err *e)
{
	if (p->n - p->n_stored > LISTENERS_MAX)
		return err_set(
		    e, "LISTEN_FDS=%zu: there can be %d listeners", p->n, LISTENERS_MAX);
	for (size_t i = 0; i < p->n; i++) {
		struct listener *l = &ls->v[ls->n];
		struct str name = p->v[i].name;

		if (notify_is_fd_name(name))
			continue;
		if (sock_adopt(l, p->v[i].fd, o, e) < 0)
			return err_wrap(
			    e, "cannot use descriptor %d of LISTEN_FDS", p->v[i].fd);
		p->v[i].fd = -1;
		ls->n++;
		log_info("master", "socket passed", "address=%s name=%.*s", l->name,
		    (int)name.n, name.p ? name.p : "");
	}
	return 0;
}

/* systemd closes its copy a little later; listening ends now, for the port to be free. */
static void
forget(struct passed *p, size_t i)
{
	shutdown(p->v[i].fd, SHUT_RDWR);
	close(p->v[i].fd);
	p->v[i].fd = -1;
	notify_forget_fd(p->v[i].name);
}

/* Before anything is opened: it may be on the same port. */
static void
forget_unwanted(struct passed *p, const struct strlist *bind)
{
	char name[NOTIFY_NAME_MAX];

	for (size_t i = 0; i < p->n; i++) {
		bool wanted = !notify_is_fd_name(p->v[i].name);

		for (size_t k = 0; k < bind->n && !wanted; k++)
			wanted =
			    str_eq(p->v[i].name, str_of(notify_fd_name(bind->v[k], name)));
		if (!wanted)
			forget(p, i);
	}
}

/* A unix socket whose file is gone leads nowhere. */
static bool
is_reachable(const struct listener *l)
{
	const char *path = strchr(l->name, ':') + 1;
	struct stat st;

	return !l->is_unix || *path == '@' ||
	       (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode));
}

/* The socket of the run before: connections that came meanwhile wait in it. */
static bool
open_stored(
    struct listeners *ls, struct passed *p, const char *bind, const struct sock_opts *o)
{
	struct listener *l = &ls->v[ls->n];
	char want[NOTIFY_NAME_MAX];
	const int unused = 0;
	size_t i = 0;

	notify_fd_name(bind, want);
	while (i < p->n && !(p->v[i].fd >= 0 && str_eq(p->v[i].name, str_of(want))))
		i++;
	if (i == p->n || ls->n == LISTENERS_MAX)
		return false;
	if (sock_adopt(l, p->v[i].fd, o, NULL) < 0 || !is_reachable(l)) {
		*l = (struct listener){.fd = -1};
		forget(p, i);
		return false;
	}
	/* The run before stopped with a filter against new connections. */
	setsockopt(l->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	l->made = true;
	l->stored = true;
	p->v[i].fd = -1;
	ls->n++;
	log_info("master", "socket kept from the run before", "address=%s", l->name);
	return true;
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

/* The next run finds it. A unix socket is its file, too, which then has to stay: only where
 * there surely is a store. */
static void
store(struct listener *l, const char *bind)
{
	char name[NOTIFY_NAME_MAX];

	if (l->is_unix ? l->path[0] == '\0' || !notify_has_store() : !l->made)
		return;
	notify_store_fd(l->fd, notify_fd_name(bind, name));
	l->stored = notify_has_store();
}

static int
open_binds(struct listeners *ls, struct passed *p, const struct strlist *bind,
    const struct sock_opts *o, struct err *e)
{
	for (size_t i = 0; i < bind->n; i++) {
		if (open_stored(ls, p, bind->v[i], o))
			continue;
		if (open_bind(ls, bind->v[i], o, e) < 0)
			return -1;
		store(&ls->v[i], bind->v[i]);
	}
	return 0;
}

static int
open_all(
    struct listeners *ls, const struct conf *c, const struct sock_opts *o, struct err *e)
{
	char fallback[] = DEFAULT_BIND;
	char *only[] = {fallback};
	const struct strlist one = {only, 1};
	const struct strlist none = {0};
	struct passed p;

	if (read_passed(&p, e) < 0)
		return -1;
	if (p.n == p.n_stored) {
		const struct strlist *bind = c->bind.n > 0 ? &c->bind : &one;

		forget_unwanted(&p, bind);
		return open_binds(ls, &p, bind, o, e);
	}
	if (c->bind.n > 0)
		log_warn("master", "bind ignored, sockets were passed", "sockets=%zu",
		    p.n - p.n_stored);
	forget_unwanted(&p, &none);
	return open_passed(ls, &p, o, e);
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

		if (l->path[0] != '\0' && !l->stored && lstat(l->path, &st) == 0 &&
		    st.st_dev == l->dev && st.st_ino == l->ino)
			unlink(l->path);
		if (l->fd >= 0)
			close(l->fd);
	}
	ls->n = 0;
}
