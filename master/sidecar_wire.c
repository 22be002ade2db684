/* Moves lines between the master and a helper process, and starts it.
 * SPDX-License-Identifier: MIT */
#include "master/sidecar_wire.h"

#include "common/heritage.h"
#include "master/privs.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define CHILD_FAILED 126

/* ---- In ---- */

/* NULL: fine. */
static const char *
take_line(struct sidecar_wire *w, const char *p, size_t n)
{
	json_t *line;

	if (n == 0)
		return NULL;
	line = json_loadb(p, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(line)) {
		json_decref(line);
		return "no JSON object";
	}
	w->on_line(w->ctx, line);
	json_decref(line);
	return NULL;
}

static const char *
take_lines(struct sidecar_wire *w)
{
	const char *why = NULL;
	size_t used = 0;
	char *end;

	while (why == NULL &&
	       (end = memchr(w->in + w->in_seen, '\n', w->in_n - w->in_seen)) != NULL) {
		why = take_line(w, w->in + used, (size_t)(end - w->in) - used);
		used = w->in_seen = (size_t)(end - w->in) + 1;
		if (w->fd < 0) /* closed by what the line brought about */
			return NULL;
	}
	memmove(w->in, w->in + used, w->in_n - used);
	w->in_n -= used;
	w->in_seen = w->in_n;
	return why;
}

static int
reserve(char **p, size_t *cap, size_t used, size_t more, size_t most)
{
	size_t want = *cap ? *cap : CHUNK;
	char *grown;

	while (want - used < more)
		want *= 2;
	if (want > most)
		return -1;
	if (want == *cap)
		return 0;
	grown = realloc(*p, want);
	if (grown == NULL)
		return -1;
	*p = grown;
	*cap = want;
	return 0;
}

/* false: nothing more for now, or ever. */
static bool
read_some(struct sidecar_wire *w)
{
	const char *why = NULL;
	ssize_t n;

	if (reserve(&w->in, &w->in_cap, w->in_n, CHUNK / 2, SIDECAR_LINE_MAX) < 0) {
		event_del(w->on_read);
		w->on_lost(w->ctx, "a line without an end");
		return false;
	}
	n = recv(w->fd, w->in + w->in_n, w->in_cap - w->in_n, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n > 0) {
		w->in_n += (size_t)n;
		why = take_lines(w);
	}
	if (n > 0 && why == NULL)
		return w->fd >= 0;
	event_del(w->on_read);
	w->on_lost(w->ctx, why);
	return false;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	(void)read_some(arg);
}

void
sidecar_wire_drain(struct sidecar_wire *w)
{
	while (w->fd >= 0 && event_pending(w->on_read, EV_READ, NULL) && read_some(w))
		;
}

/* ---- Out ---- */

/* fd -1: none. */
static ssize_t
send_part(int stream, const char *p, size_t n, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {.iov_base = (char *)p, .iov_len = n};
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
	ssize_t put;

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
		    .cmsg_level = SOL_SOCKET,
		    .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	do
		put = sendmsg(stream, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (put < 0 && errno == EINTR);
	return put;
}

/* Up to a descriptor, or from it to the next one. */
static bool
send_some(struct sidecar_wire *w, size_t *used, size_t *fds)
{
	const struct sidecar_wire_fd *f = *fds < w->n_fds ? &w->fds[*fds] : NULL;
	bool with = f != NULL && f->at == *used;
	size_t end = with && *fds + 1 < w->n_fds ? f[1].at
		     : with || f == NULL         ? w->out_n
						 : f->at;
	ssize_t n = send_part(w->fd, w->out + *used, end - *used, with ? f->fd : -1);

	if (n < 0)
		return false;
	*used += (size_t)n;
	if (with) {
		close(f->fd);
		++*fds;
	}
	return true;
}

static void
flush(struct sidecar_wire *w)
{
	size_t used = 0, fds = 0;

	while (used < w->out_n && send_some(w, &used, &fds))
		;
	memmove(w->out, w->out + used, w->out_n - used);
	w->out_n -= used;
	memmove(w->fds, w->fds + fds, (w->n_fds - fds) * sizeof(w->fds[0]));
	w->n_fds -= fds;
	for (size_t i = 0; i < w->n_fds; i++)
		w->fds[i].at -= used;
	if (w->out_n > 0)
		event_add(w->on_write, NULL);
	else if (w->ending)
		shutdown(w->fd, SHUT_WR);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	flush(arg);
}

int
sidecar_wire_put(struct sidecar_wire *w, json_t *line)
{
	size_t n = line ? json_dumpb(line, NULL, 0, JSON_COMPACT) : 0;
	int rc = -1;

	if (n > 0 && w->fd >= 0 && !w->ending &&
	    reserve(&w->out, &w->out_cap, w->out_n, n + 1, SIDECAR_OUT_MAX) == 0) {
		json_dumpb(line, w->out + w->out_n, n, JSON_COMPACT);
		w->out[w->out_n + n] = '\n';
		w->out_n += n + 1;
		flush(w);
		rc = 0;
	}
	json_decref(line);
	return rc;
}

int
sidecar_wire_put_fd(struct sidecar_wire *w, json_t *line, int fd)
{
	int own = w->n_fds < SIDECAR_WIRE_FDS ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	const size_t at = w->out_n;

	if (own < 0) {
		json_decref(line);
		return -1;
	}
	w->fds[w->n_fds++] = (struct sidecar_wire_fd){.at = at, .fd = own};
	if (sidecar_wire_put(w, line) == 0)
		return 0;
	w->n_fds--;
	close(own);
	return -1;
}

void
sidecar_wire_end(struct sidecar_wire *w)
{
	w->ending = true;
	flush(w);
}

/* ---- The process ---- */

static int
place(int stream, const int *fds, size_t n)
{
	int from[SIDECAR_FDS_MAX + 1] = {stream};
	int end = SIDECAR_FIRST_FD + (int)n;

	if (n > 0)
		memcpy(from + 1, fds, n * sizeof(*fds));
	/* First out of the way of all the places: a source may stand on another's. */
	for (size_t i = 0; i <= n; i++)
		if ((from[i] = fcntl(from[i], F_DUPFD, end)) < 0)
			return -1;
	for (size_t i = 0; i <= n; i++)
		if (dup2(from[i], SIDECAR_FD + (int)i) < 0)
			return -1;
	return close_range((unsigned)end, ~0u, 0);
}

/* By its name, so that ps shows it; by the descriptor that was opened with the master's
 * rights where the helper's user may not pass a directory, such as root's home. */
static int
run_program(const char *path, int program, char *const argv[])
{
	execv(path, argv);
	if (errno != EACCES)
		return -1;
	return execveat(program, "", argv, environ, AT_EMPTY_PATH);
}

static _Noreturn void
run_child(const struct sidecar_setup *setup, int stream, const int *fds, size_t n)
{
	char *argv[] = {(char *)setup->name, NULL};
	sigset_t none;
	struct err e = {""};
	int program = -1;

	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (place(stream, fds, n) < 0)
		err_errno(&e, "descriptors");
	else if ((program = open(setup->path, O_PATH | O_CLOEXEC)) < 0)
		err_errno(&e, "cannot open %s", setup->path);
	else if (setup->privs != NULL && privs_apply(setup->privs, &e) < 0)
		err_wrap(&e, "cannot become user %s", setup->privs->name);
	else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err_errno(&e, "no_new_privs");
	else if (run_program(setup->path, program, argv) < 0)
		err_errno(&e, "cannot run %s", setup->path);
	dprintf(SIDECAR_FD,
	    "{\"log\":\"error\",\"event\":\"helper not started\",\"text\":\"%s\"}\n",
	    e.text);
	_exit(CHILD_FAILED);
}

static int
open_events(struct sidecar_wire *w)
{
	w->on_read = event_new(w->base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->on_write = event_new(w->base, w->fd, EV_WRITE, on_writable, w);
	return w->on_read && w->on_write && event_add(w->on_read, NULL) == 0 ? 0 : -1;
}

pid_t
sidecar_wire_start(struct sidecar_wire *w, const struct sidecar_setup *setup,
    const int *fds, size_t n, struct err *e)
{
	sigset_t all, before;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, "socketpair");
	w->fd = pair[0];
	if (open_events(w) < 0) {
		close(pair[1]);
		sidecar_wire_close(w);
		return err_set(e, "out of memory");
	}
	/* The child shares the pipe behind the master's handlers until it has reset them.
	 */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		run_child(setup, pair[1], fds, n);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	if (pid < 0) {
		err_errno(e, "fork");
		sidecar_wire_close(w);
	}
	return pid;
}

void
sidecar_wire_init(struct sidecar_wire *w, struct event_base *base,
    void (*on_line)(void *ctx, json_t *line), void (*on_lost)(void *ctx, const char *why),
    void *ctx)
{
	*w = (struct sidecar_wire){
	    .base = base, .fd = -1, .on_line = on_line, .on_lost = on_lost, .ctx = ctx};
}

void
sidecar_wire_close(struct sidecar_wire *w)
{
	if (w->on_read != NULL)
		event_free(TAKE_PTR(w->on_read));
	if (w->on_write != NULL)
		event_free(TAKE_PTR(w->on_write));
	if (w->fd >= 0)
		close(TAKE_FD(w->fd));
	while (w->n_fds > 0)
		close(w->fds[--w->n_fds].fd);
	free(TAKE_PTR(w->in));
	free(TAKE_PTR(w->out));
	w->in_n = w->in_seen = w->in_cap = w->out_n = w->out_cap = 0;
	w->ending = false;
}
