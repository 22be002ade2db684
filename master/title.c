/* What ps shows for the master: the command line is rewritten in place.
 * SPDX-License-Identifier: MIT */
#include "master/title.h"

#include <stdio.h>
#include <sys/prctl.h>

extern char **environ;

static char *area; /* argv strings and, behind them, the first environment's */
static size_t area_len;

/* Copies of every string, so that the area behind argv can be written over. Kept for the
 * life of the process. */
static char **
environ_copy(void)
{
	size_t n = 0;
	char **copy;

	while (environ[n] != NULL)
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy != NULL && i < n; i++) {
		copy[i] = strdup(environ[i]);
		if (copy[i] == NULL)
			return NULL;
	}
	return copy;
}

void
title_init(int argc, char **argv)
{
	char *end = argv[0];
	char **copy = environ_copy();

	if (copy == NULL || argc < 1)
		return;
	/* The kernel lays both out back to back; stop where something else begins. */
	for (int i = 0; i < argc && argv[i] == end; i++)
		end = argv[i] + strlen(argv[i]) + 1;
	for (size_t i = 0; environ[i] != NULL && environ[i] == end; i++)
		end = environ[i] + strlen(environ[i]) + 1;
	area = argv[0];
	area_len = (size_t)(end - argv[0]);
	environ = copy;
}

void
title_set(const char *name)
{
	char title[256];
	size_t n = (size_t)snprintf(title, sizeof(title), "shoal: master [%.200s]", name);

	prctl(PR_SET_NAME, "shoal");
	if (area == NULL)
		return;
	n = MIN(n, area_len - 1);
	memcpy(area, title, n);
	memset(area + n, 0, area_len - n);
}
