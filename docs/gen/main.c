/* Writes the pages made from the table of options, or checks that they are up to date.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "common/base.h"

#include <errno.h>

#define PAGE_MAX (1 << 20)
#define PATH_TEXT_MAX 4096

static const struct {
	const char *path; /* below the source directory */
	gen_fn *render;
	/* The page is written by hand but for what stands between these lines. */
	const char *begin, *end;
} pages[] = {
    {"docs/generated/options.md", gen_markdown, NULL, NULL},
    {"docs/generated/methods.md", gen_methods, NULL, NULL},
    {"docs/generated/metrics.md", gen_metrics, NULL, NULL},
    {"docs/man/shoal.8", gen_man_options, ".\\\" begin options\n", ".\\\" end options\n"},
    {"docs/man/shoal.conf.5", gen_man_keys, ".\\\" begin keys\n", ".\\\" end keys\n"},
    {"scripts/completions/shoal.bash", gen_bash, NULL, NULL},
    {"scripts/completions/_shoal", gen_zsh, NULL, NULL},
    {"scripts/completions/shoal.fish", gen_fish, NULL, NULL},
    {"docs/man/shoalctl.1", gen_ctl_man_options, ".\\\" begin options\n",
	".\\\" end options\n"},
    {"docs/man/shoalctl.1", gen_ctl_man_verbs, ".\\\" begin verbs\n", ".\\\" end verbs\n"},
    {"docs/man/shoal-control.7", gen_control_errors, ".\\\" begin errors\n",
	".\\\" end errors\n"},
    {"docs/man/shoal-control.7", gen_control_methods, ".\\\" begin methods\n",
	".\\\" end methods\n"},
    {"docs/man/shoal-control.7", gen_control_events, ".\\\" begin events\n",
	".\\\" end events\n"},
    {"scripts/completions/shoalctl.bash", gen_ctl_bash, NULL, NULL},
    {"scripts/completions/_shoalctl", gen_ctl_zsh, NULL, NULL},
    {"scripts/completions/shoalctl.fish", gen_ctl_fish, NULL, NULL},
};

/* The file as a string, NULL when it cannot be read. */
static char *
read_page(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, PAGE_MAX) : NULL;
	size_t n;

	if (text == NULL) {
		if (f != NULL)
			fclose(f);
		return NULL;
	}
	n = fread(text, 1, PAGE_MAX - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* What the page should be; NULL (said on stderr) when a marker is missing. */
static char *
render_page(size_t i, const char *path, const char *old)
{
	const char *begin = NULL, *end = NULL;
	char *text = NULL;
	size_t n;
	FILE *out;

	if (pages[i].begin != NULL) {
		begin = old ? strstr(old, pages[i].begin) : NULL;
		end = begin ? strstr(begin, pages[i].end) : NULL;
		if (end == NULL) {
			fprintf(stderr,
			    "%s: the lines that enclose the options are missing\n", path);
			return NULL;
		}
		begin += strlen(pages[i].begin);
	}
	out = open_memstream(&text, &n);
	if (out == NULL)
		return NULL;
	if (begin != NULL)
		fwrite(old, 1, (size_t)(begin - old), out);
	pages[i].render(out);
	if (end != NULL)
		fputs(end, out);
	fclose(out);
	return text;
}

static int
write_page(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	int rc = 0;

	if (f == NULL || fputs(text, f) == EOF)
		rc = -1;
	if (f != NULL && fclose(f) != 0)
		rc = -1;
	if (rc != 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return rc;
}

static int
do_page(size_t i, const char *root, bool check)
{
	char path[PATH_TEXT_MAX];
	AUTO_FREE char *old = NULL;
	AUTO_FREE char *text = NULL;

	snprintf(path, sizeof(path), "%s/%s", root, pages[i].path);
	old = read_page(path);
	text = render_page(i, path, old);
	if (text == NULL)
		return -1;
	if (old != NULL && strcmp(old, text) == 0)
		return 0;
	if (!check)
		return write_page(path, text);
	fprintf(stderr, "%s is stale: run scripts/gen-docs\n", path);
	return -1;
}

int
main(int argc, char **argv)
{
	bool check = argc == 3 && strcmp(argv[1], "--check") == 0;
	int rc = 0;

	if (!check && (argc != 3 || strcmp(argv[1], "--write") != 0)) {
		fputs("usage: shoal-gendoc --write|--check SOURCE-DIRECTORY\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		rc |= do_page(i, argv[2], check);
	return rc == 0 ? 0 : 1;
}
