/* The connection to a control socket. SPDX-License-Identifier: MIT */
#include "master/cli/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define READ_STEP ((size_t)65536)

int64_t
link_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
link_init(struct link *l, const char *path)
{
	*l = (struct link){.fd = -1};
	snprintf(l->path, sizeof(l->path), "%s", path);
}

void
link_msg_finish(struct link_msg *m)
{
	json_decref(m->root);
	free(m->line);
	*m = (struct link_msg){0};
}

void
link_close(struct link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->in_n = 0;
	for (size_t i = 0; i < l->queue_n; i++)
		link_msg_finish(&l->queue[i]);
	l->queue_n = 0;
}

void
link_finish(struct link *l)
{
	link_close(l);
	json_decref(l->hello);
	free(l->in);
	free(l->queue);
	*l = (struct link){.fd = -1};
}

/* False: the deadline passed, or a signal arrived. */
static bool
await(int fd, short what, int64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = what};
	int64_t left = deadline - link_now();

	return poll(&p, 1, (int)MAX(0, MIN(left, INT32_MAX))) > 0;
}

static enum link_status
connect_socket(struct link *l, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", l->path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd >= 0 && connect(l->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return LINK_OK;
	err_errno(e, "%s", l->path);
	if (errno == EACCES || errno == EPERM)
		return LINK_NO_ENTRY;
	/* EAGAIN: more wait to be accepted than it lets; it is there, but does not come. */
	return errno == EAGAIN ? LINK_TIMEOUT : LINK_NOBODY;
}

/* Why the server does not want to speak with us: too many do, we may not, or our protocol.
 */
static enum link_status
hello_refused(const struct link_msg *m)
{
	static const struct {
		const char *kind;
		enum link_status st;
	} kinds[] = {
	    {"permission_denied", LINK_NO_ENTRY},
	    {"overloaded", LINK_REFUSED},
	    {"shutting_down", LINK_REFUSED},
	};
	const json_t *data = json_object_get(link_msg_error(m), "data");
	const char *kind = json_string_value(json_object_get(data, "kind"));

	for (size_t i = 0; kind != NULL && i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].st;
	return LINK_TOO_OLD;
}

enum link_status
link_open(struct link *l, int64_t deadline, struct err *e)
{
	struct link_msg m = {0};
	enum link_status st;
	json_t *params;

	link_close(l);
	st = connect_socket(l, e);
	if (st != LINK_OK) {
		link_close(l);
		return st;
	}
	params =
	    json_pack("{s:s, s:i}", "client", "shoalctl/" SHOAL_VERSION, "api", LINK_API);
	st = link_call(l, "server.hello", params, deadline, &m, e);
	json_decref(params);
	if (st == LINK_OK) {
		json_decref(l->hello);
		l->hello = json_incref(link_msg_result(&m));
		if (json_integer_value(json_object_get(l->hello, "api")) != LINK_API) {
			err_set(e,
			    "%s: the server does not speak version %d of the protocol",
			    l->path, LINK_API);
			st = LINK_TOO_OLD;
		}
	} else if (st == LINK_REFUSED) {
		const char *why =
		    json_string_value(json_object_get(link_msg_error(&m), "message"));

		err_set(e, "%s: server.hello: %s", l->path, why ? why : "refused");
		st = hello_refused(&m);
	}
	link_msg_finish(&m);
	if (st != LINK_OK)
		link_close(l);
	return st;
}

static int
send_all(struct link *l, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = send(l->fd, p, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EAGAIN) {
			struct pollfd out = {.fd = l->fd, .events = POLLOUT};

			poll(&out, 1, -1);
		} else if (done < 0 && errno != EINTR) {
			return -1;
		} else if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
	return 0;
}

json_int_t
link_send(struct link *l, const char *method, json_t *params)
{
	json_t *req = json_pack("{s:s, s:I, s:s, s:O*}", "jsonrpc", "2.0", "id",
	    l->last_id + 1, "method", method, "params", params);
	AUTO_FREE char *text = req ? json_dumps(req, JSON_COMPACT) : NULL;
	AUTO_FREE char *line = NULL;

	json_decref(req);
	if (l->fd < 0 || text == NULL || asprintf(&line, "%s\n", text) < 0)
		return 0;
	return send_all(l, line, strlen(line)) == 0 ? ++l->last_id : 0;
}

/* The first whole line of the buffer; false: there is none. */
static bool
take_line(struct link *l, struct link_msg *m)
{
	char *end = l->in_n ? memchr(l->in, '\n', l->in_n) : NULL;

	if (end == NULL)
		return false;
	m->n = (size_t)(end - l->in);
	m->line = strndup(l->in, m->n);
	l->in_n -= m->n + 1;
	memmove(l->in, end + 1, l->in_n);
	return true;
}

static enum link_status
fill(struct link *l, int64_t deadline)
{
	ssize_t n;

	if (l->in_max - l->in_n < READ_STEP) {
		char *more = l->in_n < LINK_LINE_MAX
				 ? realloc(l->in, l->in_max + 4 * READ_STEP)
				 : NULL;

		if (more == NULL)
			return LINK_GARBAGE;
		l->in = more;
		l->in_max += 4 * READ_STEP;
	}
	n = recv(l->fd, l->in + l->in_n, l->in_max - l->in_n, 0);
	if (n > 0) {
		l->in_n += (size_t)n;
		return LINK_OK;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		return LINK_LOST;
	return await(l->fd, POLLIN, deadline) ? LINK_OK : LINK_TIMEOUT;
}

static enum link_status
read_line(struct link *l, struct link_msg *m, int64_t deadline)
{
	*m = (struct link_msg){0};
	while (l->fd >= 0) {
		while (take_line(l, m)) {
			m->root = m->line ? json_loadb(m->line, m->n, 0, NULL) : NULL;
			if (json_is_object(m->root))
				return LINK_OK;
			bool empty = m->line != NULL && strspn(m->line, " \t\r") == m->n;

			link_msg_finish(m);
			if (!empty)
				return LINK_GARBAGE;
		}
		enum link_status st = fill(l, deadline);

		if (st != LINK_OK)
			return st;
	}
	return LINK_LOST;
}

enum link_status
link_read(struct link *l, struct link_msg *m, int64_t deadline)
{
	if (l->queue_n == 0)
		return read_line(l, m, deadline);
	*m = l->queue[0];
	memmove(l->queue, l->queue + 1, --l->queue_n * sizeof(*m));
	return LINK_OK;
}

/* Takes *m; drops it when there is no room: the gap shows in the sequence numbers. */
static void
keep(struct link *l, struct link_msg *m)
{
	if (l->queue_n == l->queue_max) {
		size_t max = MAX((size_t)64, l->queue_max * 2);
		void *more =
		    max <= LINK_QUEUE_MAX ? realloc(l->queue, max * sizeof(*m)) : NULL;

		if (more == NULL) {
			link_msg_finish(m);
			return;
		}
		l->queue = more;
		l->queue_max = max;
	}
	l->queue[l->queue_n++] = *m;
	*m = (struct link_msg){0};
}

static enum link_status
explain(const struct link *l, enum link_status st, const char *method, struct err *e)
{
	if (st == LINK_TIMEOUT)
		err_set(e, "%s: no answer to %s in time", l->path, method);
	else if (st == LINK_LOST)
		err_set(e, "%s: the connection was closed before %s was answered", l->path,
		    method);
	else if (st == LINK_GARBAGE)
		err_set(
		    e, "%s: what answers there is not a control socket of Shoal", l->path);
	return st;
}

enum link_status
link_call(struct link *l, const char *method, json_t *params, int64_t deadline,
    struct link_msg *m, struct err *e)
{
	json_int_t id = link_send(l, method, params);

	if (id == 0)
		return explain(l, LINK_LOST, method, e);
	for (;;) {
		enum link_status st = read_line(l, m, deadline);

		if (st == LINK_TIMEOUT && link_now() < deadline)
			continue; /* a signal */
		if (st != LINK_OK)
			return explain(l, st, method, e);
		if (link_msg_id(m) == id || (link_msg_error(m) && link_msg_id(m) == 0))
			break;
		keep(l, m);
	}
	if (link_msg_error(m) != NULL)
		return LINK_REFUSED;
	if (link_msg_result(m) != NULL)
		return LINK_OK;
	link_msg_finish(m);
	return explain(l, LINK_GARBAGE, method, e);
}

json_int_t
link_msg_id(const struct link_msg *m)
{
	return json_integer_value(json_object_get(m->root, "id"));
}

json_t *
link_msg_result(const struct link_msg *m)
{
	return json_object_get(m->root, "result");
}

json_t *
link_msg_error(const struct link_msg *m)
{
	json_t *error = json_object_get(m->root, "error");

	return json_is_object(error) ? error : NULL;
}

json_t *
link_msg_params(const struct link_msg *m)
{
	return json_object_get(m->root, "method") ? json_object_get(m->root, "params")
						  : NULL;
}

/* Behind the value that begins at p; the text is valid JSON. */
static const char *
skip_value(const char *p, const char *end)
{
	unsigned depth = 0;
	bool string = false;

	for (; p < end; p++) {
		if (string) {
			if (*p == '\\')
				p++;
			else if (*p == '"')
				string = false;
		} else if (*p == '"') {
			string = true;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (depth == 0 &&
			   (*p == ',' || *p == '}' || *p == ']' || *p == ':')) {
			break;
		} else if (*p == '}' || *p == ']') {
			depth--;
		}
	}
	return p < end ? p : end;
}

struct str
link_msg_text(const struct link_msg *m, const char *member)
{
	const char *p = m->line, *end = p + m->n;
	size_t len = strlen(member);

	p = memchr(p, '{', m->n);
	while (p != NULL && p < end && *p != '}') {
		const char *name = p + 1, *colon, *stop;

		name += strspn(name, " \t\r");
		colon = skip_value(name, end);
		stop = skip_value(colon < end ? colon + 1 : end, end);
		if (*name == '"' && strncmp(name + 1, member, len) == 0 &&
		    name[len + 1] == '"') {
			colon += 1 + strspn(colon + 1, " \t\r");
			while (stop > colon && strchr(" \t\r", stop[-1]) != NULL)
				stop--;
			return (struct str){colon, (size_t)(stop - colon)};
		}
		p = stop;
	}
	return (struct str){0};
}
