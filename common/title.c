/* What ps shows for a process: the command line is rewritten in place.
 * SPDX-License-Identifier: MIT */
#include "common/title.h"

#include <fcntl.h>
#include <stdio.h>

extern char **environ;

static char *area; /* argv strings and, behind them, the first environment's */
static size_t area_len;

/* The environment's strings and the array of them, out of the way of the title; one block
 * each, kept for the life of the process. */
static char *strings;
static char **vector;

static bool
copy_environ(void)
{
	size_t n = 0, bytes = 0;
	char *p;

	for (; environ[n] != NULL; n++)
		bytes += strlen(environ[n]) + 1;
	strings = malloc(bytes + 1);
	vector = calloc(n + 1, sizeof(*vector));
	if (strings == NULL || vector == NULL)
		return false;
	p = strings;
	for (size_t i = 0; i < n; i++) {
		vector[i] = p;
		p = stpcpy(p, environ[i]) + 1;
	}
	return true;
}

void
title_init(int argc, char **argv)
{
	char *end = argv[0];

	if (argc < 1 || !copy_environ())
		return;
	/* The kernel lays both out back to back; stop where something else begins. */
	for (int i = 0; i < argc && argv[i] == end; i++)
		end = argv[i] + strlen(argv[i]) + 1;
	for (size_t i = 0; environ[i] != NULL && environ[i] == end; i++)
		end = environ[i] + strlen(environ[i]) + 1;
	area = argv[0];
	area_len = (size_t)(end - argv[0]);
	environ = vector;
}

/* The n-th field of /proc/self/stat, counted as proc(5) does; 0: not found. The name in
 * field 2 may hold anything, so counting begins behind its bracket. */
static unsigned long
stat_field(const char *stat, int n)
{
	const char *p = strrchr(stat, ')');

	for (int i = 2; p != NULL && i < n; i++) {
		p = strchr(p, ' ');
		if (p != NULL)
			p++;
	}
	return p != NULL ? strtoul(p, NULL, 10) : 0;
}

void
title_adopt(void)
{
	char stat[2048] = "";
	AUTO_FD int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	unsigned long start, end;

	if (area != NULL || fd < 0 || read(fd, stat, sizeof(stat) - 1) <= 0)
		return;
	start = stat_field(stat, 48); /* arg_start */
	end = stat_field(stat, 49);   /* arg_end */
	if (start == 0 || end <= start + 1)
		return;
	area = (char *)start;
	area_len = end - start;
}

void
title_set(const char *process, const char *name)
{
	char title[256];
	size_t n = (size_t)snprintf(title, sizeof(title), "%s [%.200s]", process, name);

	if (area == NULL)
		return;
	n = MIN(n, sizeof(title) - 1);
	n = MIN(n, area_len - 1);
	memcpy(area, title, n);
	memset(area + n, 0, area_len - n);
}
