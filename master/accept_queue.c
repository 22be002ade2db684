/* Asks the kernel for a listening socket's queue. SPDX-License-Identifier: MIT */
#include "master/accept_queue.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define STATE_LISTEN 10 /* TCP_LISTEN of the kernel */
#define NETSTAT_MAX 16384

bool
accept_queue_read(int fd, struct accept_queue *q)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t n = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
	    info.tcpi_state != STATE_LISTEN)
		return false;
	/* Of a listener these two mean something else: sk_ack_backlog and its limit. */
	q->waiting = info.tcpi_unacked;
	q->limit = info.tcpi_sacked;
	return true;
}

/* The next line, without its end; false: there is none. */
static bool
take_line(struct str *text, struct str *line)
{
	const char *end = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;

	if (end == NULL)
		return false;
	*line = (struct str){text->p, (size_t)(end - text->p)};
	text->p += line->n + 1;
	text->n -= line->n + 1;
	return true;
}

/* The next word of a line; empty: there is none. */
static struct str
take_word(struct str *line)
{
	struct str word;

	while (line->n > 0 && *line->p == ' ') {
		line->p++;
		line->n--;
	}
	word = (struct str){line->p, 0};
	while (word.n < line->n && line->p[word.n] != ' ')
		word.n++;
	line->p += word.n;
	line->n -= word.n;
	return word;
}

static int64_t
number(struct str word)
{
	int64_t v = 0;

	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] < '0' || word.p[i] > '9' || i == 18)
			return -1;
		v = v * 10 + (word.p[i] - '0');
	}
	return word.n > 0 ? v : -1;
}

/* A line of names, then a line of their values, both behind the same first word. */
int64_t
accept_queue_parse_overflows(struct str netstat)
{
	struct str names, values, name;

	while (take_line(&netstat, &names) && take_line(&netstat, &values)) {
		if (!str_eq(take_word(&names), STR("TcpExt:")))
			continue;
		(void)take_word(&values);
		do {
			struct str value = take_word(&values);

			name = take_word(&names);
			if (str_eq(name, STR("ListenOverflows")))
				return number(value);
		} while (name.n > 0);
	}
	return -1;
}

int64_t
accept_queue_overflows(void)
{
	AUTO_FD int fd = open("/proc/self/net/netstat", O_RDONLY | O_CLOEXEC);
	char text[NETSTAT_MAX];
	size_t n = 0;
	ssize_t got;

	while (
	    fd >= 0 && n < sizeof(text) && (got = read(fd, text + n, sizeof(text) - n)) > 0)
		n += (size_t)got;
	return accept_queue_parse_overflows((struct str){text, n});
}
