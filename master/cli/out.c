/* What shoalctl prints: where to, and everything but tables. SPDX-License-Identifier: MIT
 */
#include "master/cli/out.h"

#include "master/cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#define WIDTH_UNKNOWN 80

void
out_init(struct out *o, enum out_mode mode)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize w;

	setlocale(LC_CTYPE, "");
	*o = (struct out){.f = stdout, .mode = mode, .width = WIDTH_UNKNOWN};
	o->terminal = isatty(STDOUT_FILENO) == 1;
	o->colour = o->terminal && (no == NULL || *no == '\0') && term != NULL &&
		    strcmp(term, "dumb") != 0;
	text_set_ascii(o->terminal && strcmp(nl_langinfo(CODESET), "UTF-8") != 0);
	if (o->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
		o->width = w.ws_col;
}

const char *
out_sgr(bool colour, enum out_colour c)
{
	static const char *const codes[OUT_COLOURS] = {
	    [OUT_PLAIN] = "\033[0m",
	    [OUT_BOLD] = "\033[1m",
	    [OUT_DIM] = "\033[2m",
	    [OUT_RED] = "\033[31m",
	    [OUT_GREEN] = "\033[32m",
	    [OUT_YELLOW] = "\033[33m",
	    [OUT_CYAN] = "\033[36m",
	    [OUT_REVERSE] = "\033[7m",
	};

	return colour ? codes[c] : "";
}

enum out_colour
out_state_colour(const char *state)
{
	static const struct {
		const char *word;
		enum out_colour colour;
	} words[] = {
	    {"ready", OUT_GREEN},
	    {"idle", OUT_GREEN},
	    {"busy", OUT_GREEN},
	    {"running", OUT_GREEN},
	    {"done", OUT_GREEN},
	    {"up", OUT_GREEN},
	    {"booting", OUT_CYAN},
	    {"draining", OUT_YELLOW},
	    {"parked", OUT_YELLOW},
	    {"stopping", OUT_YELLOW},
	    {"starting", OUT_CYAN},
	    {"exiting", OUT_YELLOW},
	    {"stuck", OUT_RED},
	    {"dead", OUT_RED},
	    {"failed", OUT_RED},
	    {"rolled_back", OUT_RED},
	    {"cancelled", OUT_RED},
	    {"stale", OUT_RED},
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, state) == 0)
			return words[i].colour;
	return OUT_PLAIN;
}

bool
out_for_people(const struct out *o)
{
	return o->mode == OUT_TABLES;
}

void
out_line(struct out *o, const char *fmt, ...)
{
	va_list ap;

	if (!out_for_people(o))
		return;
	va_start(ap, fmt);
	vfprintf(o->f, fmt, ap);
	va_end(ap);
	fputc('\n', o->f);
	/* Progress is read while it happens, in a pipe, too. */
	fflush(o->f);
}

void
out_json(struct out *o, const char *text, size_t n)
{
	if (o->mode == OUT_QUIET)
		return;
	if (o->terminal)
		text_put_json(o->f, text, n);
	else
		fwrite(text, 1, n, o->f);
	fputc('\n', o->f);
	fflush(o->f);
}

void
out_json_value(struct out *o, const json_t *v, bool indented)
{
	AUTO_FREE char *text = value_dump(v, indented ? 2 : 0);

	if (text != NULL)
		out_json(o, text, strlen(text) - 1);
}

void
out_reply(struct out *o, const struct out_view *v, const json_t *reply)
{
	if (v == NULL || v->n_columns == 0)
		out_any(o, reply);
	else if (v->rows != NULL)
		out_table(o, v, *v->rows ? value_at(reply, v->rows) : reply);
	else
		out_fields(o, v, reply);
}
