/* The master's side of the gateway. SPDX-License-Identifier: MIT */
#include "master/gate.h"

#include "common/log.h"
#include "common/msg.h"
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/sidecar.h"
#include "master/sock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#define GATEWAY_NAME "shoal-gateway"
#define GRACE_MS 1000
#define SILENCE_MS 60000
#define TOKEN_MAX 256
#define TOKEN_MIN 16
#define BACKLOG 64

struct gate {
	struct master *master;   /* borrowed */
	struct sidecar *sidecar; /* owned; NULL: nobody has asked yet */
	struct privs privs;
	struct listener listener; /* fd -1: none */
	char path[1024];
	char token[TOKEN_MAX + 1]; /* "": none */
	int clients;               /* owned; the end clients are handed to; -1: none */
	/* Owned until they were given away: what the next start gets. */
	int fds[SIDECAR_FDS_MAX];
	size_t n_fds;
};

static void
drop_fds(struct gate *g)
{
	while (g->n_fds > 0)
		close(g->fds[--g->n_fds]);
}

/* A session of its own with the control server, as `role`; -1: none can be had. */
static int
make_session(struct gate *g, const struct ctl_peer *peer, bool lasting)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	if (ctl_attach(g->master->ctl, pair[0], peer, lasting) < 0) {
		close(pair[1]);
		return -1;
	}
	return pair[1];
}

static int
make_own_session(struct gate *g, enum ctl_role role)
{
	const struct ctl_peer peer = {.uid = g->privs.uid,
	    .gid = g->privs.gid,
	    .pid = getpid(),
	    .comm = GATEWAY_NAME,
	    .role = role,
	    .anonymous = role == CTL_OBSERVER};

	return make_session(g, &peer, true);
}

static void
add_fd(struct gate *g, int fd)
{
	if (fd >= 0)
		g->fds[g->n_fds++] = fd;
}

/* In the order of master/gateway/gateway.h. */
static size_t
on_start(void *ctx, int fds[SIDECAR_FDS_MAX])
{
	struct gate *g = ctx;
	int pair[2];
	struct err e;

	drop_fds(g);
	if (g->clients >= 0)
		close(TAKE_FD(g->clients));
	if (msg_pair(pair, &e) < 0)
		return 0; /* it ends at once, and is started again later */
	g->clients = pair[0];
	add_fd(g, pair[1]);
	add_fd(g, make_own_session(g, CTL_OBSERVER));
	if (g->token[0] != '\0')
		add_fd(g, make_own_session(g, CTL_OPERATOR));
	if (g->listener.fd >= 0)
		add_fd(g, fcntl(g->listener.fd, F_DUPFD_CLOEXEC, 3));
	memcpy(fds, g->fds, g->n_fds * sizeof(fds[0]));
	return g->n_fds;
}

static json_t *
on_config(void *ctx)
{
	struct gate *g = ctx;
	const struct strlist *more = &g->master->heritage.conf.gateway_host;
	json_t *hosts = json_pack("[s,s,s]", "localhost", "127.0.0.1", "::1");
	struct bind_addr at;
	struct err e;

	/* The gateway has its own copies now. */
	drop_fds(g);
	if (g->listener.fd >= 0 && bind_parse(&at, g->listener.name, &e) == 0 &&
	    at.host[0] != '\0')
		json_array_append_new(hosts, json_string(at.host));
	for (size_t i = 0; i < more->n; i++)
		json_array_append_new(hosts, json_string(more->v[i]));
	return json_pack("{s:o,s:b,s:s?}", "hosts", hosts, "listen", g->listener.fd >= 0,
	    "token", g->token[0] != '\0' ? g->token : NULL);
}

static int
start(struct gate *g, struct err *e)
{
	const struct sidecar_setup setup = {
	    .base = g->master->base,
	    .name = "gateway",
	    .path = g->path,
	    .privs = &g->privs,
	    .grace_ms = GRACE_MS,
	    .silence_ms = SILENCE_MS,
	    .ctx = g,
	    .on_start = on_start,
	    .on_config = on_config,
	};

	if (access(g->path, X_OK) < 0)
		return err_errno(e, "cannot run %s, which belongs beside shoal", g->path);
	g->sidecar = sidecar_open(&setup, e);
	return g->sidecar ? 0 : -1;
}

static int
read_token(struct gate *g, const char *path, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, g->token, sizeof(g->token)) : -1;

	if (n < 0)
		return err_errno(e, "--gateway-token-file %s", path);
	while (n > 0 && strchr(" \t\r\n", g->token[n - 1]) != NULL)
		n--;
	if (n < TOKEN_MIN || n > TOKEN_MAX)
		return err_set(e,
		    "--gateway-token-file %s: a token has %d to %d characters", path,
		    TOKEN_MIN, TOKEN_MAX);
	g->token[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (g->token[i] <= ' ' || g->token[i] > '~')
			return err_set(e,
			    "--gateway-token-file %s: character %zd is not printable ASCII",
			    path, i + 1);
	return 0;
}

static int
listen_at(struct gate *g, const char *text, struct err *e)
{
	/* Reused: after an upgrade the old gateway may not have ended yet. */
	const struct sock_opts o = {.backlog = BACKLOG, .reuse_port = true};
	struct bind_addr at;
	struct err why;

	if (bind_parse(&at, text, &why) < 0 || at.kind != BIND_TCP)
		return err_set(e, "--gateway %s: HOST:PORT is expected", text);
	if (at.host[0] == '\0')
		snprintf(at.host, sizeof(at.host), "127.0.0.1");
	if (sock_open_tcp(&g->listener, &at, &o, &why) < 0)
		return err_set(e, "--gateway %s: %s", text, why.text);
	log_info("gateway", "listening", "address=%s", g->listener.name);
	return 0;
}

/* Nobody's rights where they can be had. */
static int
choose_user(struct gate *g, const struct conf *c, struct err *e)
{
	static char nobody[] = "nobody";
	struct conf as = {.user = c->gateway_user};

	if (as.user == NULL && geteuid() == 0)
		as.user = nobody;
	return privs_resolve(&g->privs, &as, e);
}

int
gate_open(struct gate **gate, struct master *m, struct err *e)
{
	const struct conf *c = &m->heritage.conf;
	struct gate *g;

	*gate = NULL;
	if (m->ctl == NULL) {
		if (c->gateway == NULL)
			return 0;
		return err_set(e, "--gateway needs the control socket");
	}
	g = calloc(1, sizeof(*g));
	if (g == NULL)
		return err_set(e, "out of memory");
	*gate = g;
	g->master = m;
	g->clients = g->listener.fd = -1;
	snprintf(g->path, sizeof(g->path), "%s/" GATEWAY_NAME, m->bin_dir);
	if (choose_user(g, c, e) < 0 ||
	    (c->gateway_token_file && read_token(g, c->gateway_token_file, e) < 0))
		return -1;
	if (c->gateway == NULL)
		return 0;
	return listen_at(g, c->gateway, e) < 0 || start(g, e) < 0 ? -1 : 0;
}

void
gate_close(struct gate *g)
{
	if (g == NULL)
		return;
	sidecar_close(g->sidecar);
	drop_fds(g);
	if (g->clients >= 0)
		close(g->clients);
	if (g->listener.fd >= 0)
		close(g->listener.fd);
	free(g);
}

int
gate_serve(struct gate *g, int fd, const struct ctl_peer *peer, const char *bytes, size_t n,
    struct err *e)
{
	struct {
		struct msg_serve head;
		char bytes[MSG_PAYLOAD_MAX - sizeof(struct msg_serve)];
	} payload = {.head.role = (uint32_t)peer->role};
	AUTO_FD int session = -1;
	int rc;

	if (n > sizeof(payload.bytes))
		return err_set(e, "too much came at once");
	if (g->sidecar == NULL && start(g, e) < 0)
		return -1;
	session = make_session(g, peer, false);
	if (g->clients < 0 || session < 0)
		return err_set(e, "the gateway cannot be reached");
	memcpy(payload.bytes, bytes, n);
	/* What it has not read yet waits in the socket, also while it starts. */
	rc = msg_send(g->clients, MSG_SERVE, &payload, sizeof(payload.head) + n,
	    (int[]){fd, session}, 2);
	return rc < 0 ? err_errno(e, "the gateway takes no more clients") : 0;
}

bool
gate_on_child(struct gate *g, pid_t pid, int status)
{
	return g != NULL && g->sidecar != NULL && sidecar_on_child(g->sidecar, pid, status);
}

pid_t
gate_pid(const struct gate *g)
{
	return g != NULL && g->sidecar != NULL ? sidecar_pid(g->sidecar) : 0;
}
