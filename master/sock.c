/* Makes one listening socket: TCP, unix, or one that somebody else bound. Its errors tell
 * what is in the way and what to do. SPDX-License-Identifier: MIT */
#include "master/sock.h"

#include "common/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static const struct {
	int error;
	const char *advice;
} advices[] = {
    {EADDRINUSE, "another process holds the address: `ss -ltnp` shows which; stop it, or "
		 "choose another address with --bind"},
    {EACCES,
	"ports below 1024 need root or CAP_NET_BIND_SERVICE, a socket file a directory "
	"you can write to"},
    {EADDRNOTAVAIL, "no interface of this machine has that address: see `ip addr`"},
    {EAFNOSUPPORT, "the kernel does not speak this address family"},
    {ENOENT, "the directory does not exist: create it first"},
};

/* errno and what to do about it; the caller names the address. */
static int
fail(struct err *e, const char *what)
{
	int error = errno;

	for (size_t i = 0; i < ARRAY_LEN(advices); i++)
		if (advices[i].error == error)
			return err_set(
			    e, "%s: %s; %s", what, strerror(error), advices[i].advice);
	errno = error;
	return err_errno(e, "%s", what);
}

/* "127.0.0.1:8000", "[::1]:8000", "unix:/run/x.sock", "unix:@name". */
static int
set_name(struct listener *l, int fd, struct err *e)
{
	struct sockaddr_storage ss = {0};
	const struct sockaddr_un *un = (const struct sockaddr_un *)&ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
		return err_errno(e, "getsockname");
	l->is_unix = ss.ss_family == AF_UNIX;
	if (l->is_unix) {
		int n = (int)(len - offsetof(struct sockaddr_un, sun_path));

		if (n > 0 && un->sun_path[0] == '\0')
			snprintf(l->name, sizeof(l->name), "unix:@%.*s", n - 1,
			    un->sun_path + 1);
		else
			snprintf(
			    l->name, sizeof(l->name), "unix:%.*s", MAX(n, 0), un->sun_path);
		return 0;
	}
	addr_from_sockaddr(&a, (struct sockaddr *)&ss, len);
	addr_text(&a, l->name);
	return 0;
}

/* As gunicorn: a name means its IPv4 address if it has one; an empty host is 0.0.0.0. */
static int
resolve(
    const struct bind_addr *b, struct sockaddr_storage *ss, socklen_t *len, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *all = NULL;
	const struct addrinfo *best;
	char port[8];
	int rc;

	snprintf(port, sizeof(port), "%u", b->port);
	rc = getaddrinfo(b->host[0] ? b->host : "0.0.0.0", port, &hints, &all);
	if (rc != 0)
		return err_set(e,
		    "the host name cannot be resolved: %s; give an address of this machine",
		    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
	best = all;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		if (a->ai_family == AF_INET) {
			best = a;
			break;
		}
	memcpy(ss, best->ai_addr, best->ai_addrlen);
	*len = best->ai_addrlen;
	freeaddrinfo(all);
	return 0;
}

int
sock_open_tcp(
    struct listener *l, const struct bind_addr *b, const struct sock_opts *o, struct err *e)
{
	struct sockaddr_storage ss;
	socklen_t len = 0;
	int on = 1;

	if (resolve(b, &ss, &len, e) < 0)
		return -1;
	AUTO_FD int fd =
	    socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(e, "socket");
	/* Not for two servers on one port: lets a restart bind while old connections of the
	 * same port are in TIME_WAIT. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (o->reuse_port &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0))
		return fail(e, "setsockopt");
	if (bind(fd, (struct sockaddr *)&ss, len) < 0)
		return fail(e, "bind");
	if (listen(fd, o->backlog) < 0)
		return fail(e, "listen");
	if (set_name(l, fd, e) < 0)
		return -1;
	l->fd = TAKE_FD(fd);
	l->made = true;
	return 0;
}

/* A socket file is in the way: removed when nobody listens on it. */
static int
remove_stale(const struct sockaddr_un *un, socklen_t len, struct err *e)
{
	struct stat st;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(e, "socket");
	if (lstat(un->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : fail(e, "stat");
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, "a file that is no socket is in the way; remove it, or "
				  "choose another path with --bind");
	if (connect(fd, (const struct sockaddr *)un, len) == 0 || errno != ECONNREFUSED)
		return err_set(e, "a running server listens there (`ss -lxp` shows which); "
				  "stop it, or choose another path with --bind");
	if (unlink(un->sun_path) < 0 && errno != ENOENT)
		return fail(e, "cannot remove the stale socket file");
	return 0;
}

static int
bind_unix(int fd, const struct sockaddr_un *un, socklen_t len, mode_t mode, struct err *e)
{
	/* Before bind, so that the file never has a wider mode than it shall keep. */
	mode_t before = umask(~mode & 0777);
	int rc = bind(fd, (const struct sockaddr *)un, len);

	if (rc < 0 && errno == EADDRINUSE && un->sun_path[0] != '\0') {
		if (remove_stale(un, len, e) < 0) {
			umask(before);
			return -1;
		}
		rc = bind(fd, (const struct sockaddr *)un, len);
	}
	umask(before);
	return rc < 0 ? fail(e, "bind") : 0;
}

/* Remembers which file is ours to remove, and gives it to the workers' user. */
static int
own_file(struct listener *l, const char *path, const struct sock_opts *o, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return fail(e, "stat");
	snprintf(l->path, sizeof(l->path), "%s", path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	if (o->chown && lchown(path, o->uid, o->gid) < 0)
		return fail(e, "chown");
	return 0;
}

int
sock_open_unix(
    struct listener *l, const struct bind_addr *b, const struct sock_opts *o, struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t n = strnlen(b->path, sizeof(un.sun_path) - 1);
	bool abstract = b->path[0] == '@';
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(e, "socket");
	memcpy(un.sun_path, b->path, n);
	if (abstract)
		un.sun_path[0] = '\0';
	if (bind_unix(fd, &un, len, o->mode, e) < 0)
		return -1;
	if (!abstract && own_file(l, b->path, o, e) < 0)
		return -1;
	if (listen(fd, o->backlog) < 0)
		return fail(e, "listen");
	if (set_name(l, fd, e) < 0)
		return -1;
	l->fd = TAKE_FD(fd);
	return 0;
}

int
sock_adopt(struct listener *l, int fd, const struct sock_opts *o, struct err *e)
{
	int type = 0, listening = 0;
	socklen_t len = sizeof(type);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_set(e,
		    "there is no such descriptor; whoever starts shoal has to "
		    "pass it on");
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return err_set(e, "the descriptor is not a stream socket");
	len = sizeof(listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0)
		return fail(e, "getsockopt");
	if (!listening && listen(fd, o->backlog) < 0)
		return fail(e, "listen");
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return fail(e, "fcntl");
	if (set_name(l, fd, e) < 0)
		return -1;
	l->fd = fd;
	return 0;
}
