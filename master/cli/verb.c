/* Verbs by name, and the help made from their table. SPDX-License-Identifier: MIT */
#include "master/cli/verb.h"

#define HELP_COLUMN 28 /* of options */
#define VERB_COLUMN 24
#define NAME_MOST 32
#define NEAR 2

/* Does the name consist of these words? Then how many it has, else 0. */
static size_t
matches(const char *name, char *const *argv, size_t argc)
{
	size_t words = 0;

	while (words < argc) {
		size_t len = strcspn(name, " ");

		if (strlen(argv[words]) != len || strncmp(argv[words], name, len) != 0)
			return 0;
		words++;
		if (name[len] == '\0')
			return words;
		name += len + 1;
	}
	return 0;
}

const struct verb *
verb_find(char *const *argv, size_t argc, size_t *words)
{
	for (size_t i = 0; i < verbs_count; i++) {
		*words = matches(verbs[i].name, argv, argc);
		if (*words > 0)
			return &verbs[i];
	}
	return NULL;
}

/* Levenshtein's distance, of names shorter than NAME_MOST. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[NAME_MOST + 1];
	size_t n = strlen(b);

	for (size_t j = 0; j <= n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned change = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[n];
}

const char *
verb_nearest(const char *name)
{
	const char *found = NULL;
	unsigned best = NEAR + 1;

	if (strlen(name) > NAME_MOST)
		return NULL;
	for (size_t i = 0; i < verbs_count; i++) {
		unsigned d = distance(name, verbs[i].name);

		if (strncmp(verbs[i].name, name, strlen(name)) == 0 && strlen(name) > 2)
			d = 1;
		if (d < best) {
			best = d;
			found = verbs[i].name;
		}
	}
	return found;
}

const char *
verb_synopsis(const struct verb *v, char *buf, size_t max)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < VERB_POSITIONS && v->positions[i].title != NULL; i++) {
		const struct arg_position *p = &v->positions[i];

		n += (size_t)snprintf(buf + n, max - n, "%s%s%s%s%s", i ? " " : "",
		    p->optional ? "[" : "", p->title, p->repeats ? "..." : "",
		    p->optional ? "]" : "");
		if (n >= max)
			break;
	}
	return buf;
}

/* In the overview a list of words gives way to what it is about. */
static const char *
short_synopsis(const struct verb *v, char *buf, size_t max)
{
	verb_synopsis(v, buf, max);
	if (strlen(v->name) + strlen(buf) + 4 > VERB_COLUMN && strchr(buf, '|') != NULL)
		snprintf(buf, max, "LEVEL [TTL]");
	return buf;
}

static void
put_flags(FILE *f, const struct arg_flag *flags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct arg_flag *g = &flags[i];
		char left[128];
		int len;

		if (g->name == NULL && g->letter == 0)
			break;
		if (g->name == NULL)
			len = snprintf(left, sizeof(left), "  -%c", g->letter);
		else
			len = snprintf(left, sizeof(left), "  %c%c%c --%s%s%s",
			    g->letter ? '-' : ' ', g->letter ? g->letter : ' ',
			    g->letter ? ',' : ' ', g->name, g->arg ? " " : "",
			    g->arg ? g->arg : "");
		if (len >= HELP_COLUMN)
			fprintf(f, "%s\n%*s%s\n", left, HELP_COLUMN, "", g->help);
		else
			fprintf(f, "%-*s%s\n", HELP_COLUMN, left, g->help);
	}
}

void
verb_help_all(FILE *f)
{
	fputs("usage: shoalctl [-s SOCKET | -i INSTANCE] [OPTIONS] VERB ...\n\n"
	      "Shows and steers a running instance of shoal over its control socket.\n\n"
	      "Options\n",
	    f);
	put_flags(f, verb_globals, verb_globals_count);
	for (unsigned g = 0; g < VERB_GROUPS; g++) {
		fprintf(f, "\n%s\n", verb_group_titles[g]);
		for (size_t i = 0; i < verbs_count; i++) {
			char left[128], args[96];

			if (verbs[i].group != g)
				continue;
			snprintf(left, sizeof(left), "  %s %s", verbs[i].name,
			    short_synopsis(&verbs[i], args, sizeof(args)));
			fprintf(f, "%-*s%s\n", VERB_COLUMN, left, verbs[i].help);
		}
	}
	fputs("\nExit codes: 0 done, 1 failed or rolled back, 2 usage, 3 nothing listens,\n"
	      "4 permission denied, 5 timed out but may still run, 6 protocol too old.\n"
	      "shoalctl VERB -h tells the verb's options; see also shoalctl(1).\n",
	    f);
}

const char *
verb_size_note(const struct verb *v)
{
	for (size_t i = 0; i < VERB_POSITIONS; i++)
		if (v->positions[i].title != NULL && v->positions[i].type == ARG_SIZE)
			return "Sizes: a number of bytes; kB, MB, GB, TB are powers of "
			       "1000, KiB, MiB, GiB, TiB and K, M, G, T powers of 1024.";
	return NULL;
}

void
verb_help_one(FILE *f, const struct verb *v)
{
	char args[128];
	bool flags = v->flags[0].name != NULL || v->flags[0].letter != 0;

	verb_synopsis(v, args, sizeof(args));
	fprintf(f, "usage: shoalctl %s%s%s%s\n\n  %s\n", v->name, *args ? " " : "", args,
	    flags ? " [OPTIONS]" : "", v->help);
	if (v->method != NULL)
		fprintf(f, "  Method: %s; see shoal-control(7).\n", v->method);
	if (verb_size_note(v) != NULL)
		fprintf(f, "  %s\n", verb_size_note(v));
	if (flags) {
		fputs("\nOptions\n", f);
		put_flags(f, v->flags, VERB_FLAGS);
	}
}
