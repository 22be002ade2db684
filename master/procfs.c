/* Reads a few files of /proc. SPDX-License-Identifier: MIT */
#include "master/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define FILE_MAX 4096
#define NIC_FILE_MAX 65536 /* some hundred interfaces */
#define CGROUP_ROOT "/sys/fs/cgroup"

/* One read: these files are made when they are read, whole. */
static struct str
read_file(const char *path, char buf[FILE_MAX])
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, FILE_MAX) : -1;

	return (struct str){buf, n > 0 ? (size_t)n : 0};
}

static struct str
read_of(pid_t pid, const char *name, char buf[FILE_MAX])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return read_file(path, buf);
}

static bool
skip_to(struct str *s, char c)
{
	const char *at = s->n > 0 ? memchr(s->p, c, s->n) : NULL;

	if (at == NULL)
		return false;
	s->n -= (size_t)(at + 1 - s->p);
	s->p = at + 1;
	return true;
}

static void
skip_blanks(struct str *s)
{
	while (s->n > 0 && (*s->p == ' ' || *s->p == '\t')) {
		s->p++;
		s->n--;
	}
}

static int64_t
take_number(struct str *s)
{
	int64_t v = 0;
	size_t digits = 0;

	skip_blanks(s);
	for (; s->n > 0 && *s->p >= '0' && *s->p <= '9'; s->p++, s->n--, digits++)
		if (digits < 18)
			v = v * 10 + (*s->p - '0');
	return digits > 0 && digits <= 18 ? v : -1;
}

/* What follows `key` on its line. */
static bool
find_line(struct str *text, const char *key)
{
	size_t n = strlen(key);

	while (text->n >= n) {
		if (memcmp(text->p, key, n) == 0) {
			text->p += n;
			text->n -= n;
			return true;
		}
		if (!skip_to(text, '\n'))
			break;
	}
	return false;
}

int64_t
procfs_number(struct str text, const char *key)
{
	return find_line(&text, key) ? take_number(&text) : -1;
}

/* "  eth0: RECEIVED packets errs drop fifo frame compressed multicast SENT ...". */
struct procfs_nic
procfs_parse_nic(struct str text)
{
	struct procfs_nic sum = {-1, -1};

	for (struct str line; text.n > 0;) {
		int64_t in, out = -1;

		line = text;
		if (!skip_to(&text, '\n'))
			break;
		line.n = (size_t)(text.p - line.p);
		skip_blanks(&line);
		if ((line.n > 3 && memcmp(line.p, "lo:", 3) == 0) || !skip_to(&line, ':'))
			continue;
		in = take_number(&line);
		for (int column = 1; column <= 8; column++)
			out = take_number(&line);
		if (in < 0 || out < 0)
			continue;
		sum.in_bytes = MAX(sum.in_bytes, 0) + in;
		sum.out_bytes = MAX(sum.out_bytes, 0) + out;
	}
	return sum;
}

bool
procfs_parse_usage(struct str text, struct procfs_stat *to)
{
	int64_t v[25]; /* fields of proc(5) by their number */

	/* The name is in parentheses and may hold some; the last one ends it. */
	for (struct str rest = text; skip_to(&rest, ')');)
		text = rest;
	skip_blanks(&text);
	for (int field = 3; field <= 24; field++) {
		struct str at = text;

		v[field] = take_number(&at);
		if (field < 24 && !skip_to(&text, ' '))
			return false;
	}
	*to = (struct procfs_stat){
	    .user_ticks = (uint64_t)v[14],
	    .system_ticks = (uint64_t)v[15],
	    .vsz_bytes = v[23],
	    .rss_bytes = v[24] * sysconf(_SC_PAGESIZE),
	    .threads = (int)v[20],
	};
	return v[14] >= 0 && v[15] >= 0 && v[20] >= 0 && v[23] >= 0 && v[24] >= 0;
}

bool
procfs_parse_catches(struct str status, int sig)
{
	uint64_t mask = 0;

	if (!find_line(&status, "SigCgt:"))
		return false;
	skip_blanks(&status);
	for (; status.n > 0 && *status.p != '\n'; status.p++, status.n--) {
		char c = *status.p;
		unsigned digit = c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');

		mask = mask << 4 | (digit & 15);
	}
	return (mask >> (sig - 1) & 1) != 0;
}

struct str
procfs_parse_cgroup(struct str text)
{
	const char *end;

	if (!find_line(&text, "0::"))
		return (struct str){NULL, 0};
	end = memchr(text.p, '\n', text.n);
	if (end != NULL)
		text.n = (size_t)(end - text.p);
	return text;
}

struct procfs_nic
procfs_nic(void)
{
	AUTO_FD int fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
	char buf[NIC_FILE_MAX];
	size_t n = 0;
	ssize_t got;

	while (fd >= 0 && n < sizeof(buf) && (got = read(fd, buf + n, sizeof(buf) - n)) > 0)
		n += (size_t)got;
	return procfs_parse_nic((struct str){buf, n});
}

int64_t
procfs_rss(pid_t pid)
{
	char buf[FILE_MAX];
	struct str text = read_of(pid, "statm", buf);
	int64_t pages = skip_to(&text, ' ') ? take_number(&text) : -1;

	return pages >= 0 ? pages * sysconf(_SC_PAGESIZE) : -1;
}

bool
procfs_parse_memory(struct str text, struct procfs_memory *to)
{
	int64_t pss = procfs_number(text, "Pss:");
	int64_t clean = procfs_number(text, "Private_Clean:");
	int64_t dirty = procfs_number(text, "Private_Dirty:");

	*to = (struct procfs_memory){pss * 1024, (clean + dirty) * 1024};
	return pss >= 0 && clean >= 0 && dirty >= 0;
}

bool
procfs_memory(pid_t pid, struct procfs_memory *to)
{
	char buf[FILE_MAX];

	return procfs_parse_memory(read_of(pid, "smaps_rollup", buf), to);
}

bool
procfs_stat(pid_t pid, struct procfs_stat *to)
{
	char buf[FILE_MAX];

	return procfs_parse_usage(read_of(pid, "stat", buf), to);
}

int
procfs_threads(pid_t pid)
{
	struct procfs_stat now;

	return procfs_stat(pid, &now) ? now.threads : -1;
}

int
procfs_fds(pid_t pid)
{
	int n = pid == getpid() ? -1 : 0; /* the directory's own is not counted */
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (d == NULL)
		return -1;
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		if (entry->d_name[0] != '.')
			n++;
	closedir(d);
	return n;
}

int64_t
procfs_max_fds(pid_t pid)
{
	char buf[FILE_MAX];

	return procfs_number(read_of(pid, "limits", buf), "Max open files");
}

bool
procfs_catches(pid_t pid, int sig)
{
	char buf[FILE_MAX];

	return procfs_parse_catches(read_of(pid, "status", buf), sig);
}

int64_t
procfs_oom_kills(void)
{
	char buf[FILE_MAX], path[FILE_MAX + 64];
	struct str group = procfs_parse_cgroup(read_file("/proc/self/cgroup", buf));

	if (group.n == 0)
		return -1;
	snprintf(
	    path, sizeof(path), CGROUP_ROOT "%.*s/memory.events", (int)group.n, group.p);
	return procfs_number(read_file(path, buf), "oom_kill ");
}

int64_t
procfs_start_ticks(pid_t pid)
{
	char buf[FILE_MAX];
	struct str s = read_of(pid, "stat", buf);
	const char *end = s.n > 0 ? memrchr(s.p, ')', s.n) : NULL;

	/* The name before it may hold anything. The number is field 22. */
	if (end == NULL)
		return -1;
	s = (struct str){end, s.n - (size_t)(end - s.p)};
	for (int field = 2; field < 22; field++)
		if (!skip_to(&s, ' '))
			return -1;
	return take_number(&s);
}
