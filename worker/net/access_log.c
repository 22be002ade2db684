/* Access-log records: compiles a format once, then runs its steps per request.
 * SPDX-License-Identifier: MIT */
#include "worker/net/access_log.h"

#include "worker/net/access_atoms.h"

#include <locale.h>
#include <stdio.h>
#include <time.h>

#define SPEC_MAX 4096
#define STEPS_MAX 128

#define JSON_SPEC                                                                          \
	"{\"time\":\"%(time)s\",\"id\":\"%(id)s\",\"client\":\"%(h)s\","                   \
	"\"scheme\":\"%(scheme)s\",\"method\":\"%(m)s\",\"path\":\"%(U)s\","               \
	"\"query\":\"%(q)s\",\"protocol\":\"%(H)s\",\"status\":%(s)s,"                     \
	"\"head\":%(head)s,\"body\":%(body)s,\"framing\":%(framing)s,\"sent\":%(sent)s,"   \
	"\"in\":%(in)s,\"in_head\":%(in_head)s,\"in_body\":%(in_body)s,"                   \
	"\"in_framing\":%(in_framing)s,\"tls_in\":%(tls_in)s,\"tls_out\":%(tls_out)s,"     \
	"\"duration_us\":%(D)s,\"ttfb_us\":%(ttfb)s,\"app_us\":%(app)s,"                   \
	"\"outcome\":\"%(outcome)s\",\"reason\":\"%(reason)s\",\"host\":\"%({host}i)s\","  \
	"\"referer\":\"%(f)s\",\"agent\":\"%(a)s\""

static const struct {
	const char *name, *spec;
	bool json;
} named_specs[] = {
    {"combined", "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s \"%(f)s\" \"%(a)s\"",
	false},
    {"eventlet",
	"%(client_ip)s - - [%(date_time)s] \"%(request_line)s\" %(status_code)s "
	"%(body_length)s %(wall_seconds).6f",
	false},
    {"json", JSON_SPEC "}", true},
    {"json-acked", JSON_SPEC ",\"acked\":%(acked)s}", true},
};

/* Either a piece of fixed text (fn NULL) or an atom. */
struct step {
	atom_fn *fn;
	struct str text; /* points into spec or pool */
};

struct access_format {
	char *spec;          /* owned */
	char pool[SPEC_MAX]; /* the fixed texts, never longer than the spec */
	size_t pool_n;
	bool json;
	size_t n_steps;
	struct step steps[STEPS_MAX];
	int64_t second; /* what the date strings below say */
	char clf[40], eventlet[32], iso[40], pid[16];
	locale_t c_locale; /* owned; the application may change the process's */
	struct access_ctx ctx;
};

static int
step_add(struct access_format *f, atom_fn *fn, struct str text, struct err *e)
{
	if (f->n_steps == STEPS_MAX)
		return err_set(e, "access log format: more than %d parts", STEPS_MAX);
	f->steps[f->n_steps++] = (struct step){fn, text};
	return 0;
}

/* Neighbouring texts become one step. */
static int
text_add(struct access_format *f, struct str text, struct err *e)
{
	struct step *last = f->n_steps > 0 ? &f->steps[f->n_steps - 1] : NULL;
	char *at = f->pool + f->pool_n;

	if (text.n == 0)
		return 0;
	memcpy(at, text.p, text.n);
	f->pool_n += text.n;
	if (last == NULL || last->fn != NULL)
		return step_add(f, NULL, (struct str){at, text.n}, e);
	last->text.n += text.n;
	return 0;
}

/* name is what stands between %( and ). */
static int
atom_add(struct access_format *f, struct str name, struct err *e)
{
	atom_fn *fn = access_atom_find(name);

	/* There is no ident and no REMOTE_USER: fixed text needs no call. */
	if (str_eq(name, STR("l")) || str_eq(name, STR("u")))
		return text_add(f, STR("-"), e);
	if (fn != NULL)
		return step_add(f, fn, (struct str){NULL, 0}, e);
	if (name.n > 3 && name.p[0] == '{' && name.p[name.n - 2] == '}') {
		struct str arg = {name.p + 1, name.n - 3};

		if (name.p[name.n - 1] == 'i')
			return step_add(f, access_atom_field, arg, e);
		return err_set(e,
		    "access log format: %%(%.*s)s is not available, only request fields "
		    "({name}i) are kept for the log",
		    (int)MIN(name.n, (size_t)64), name.p);
	}
	return err_set(e, "access log format: unknown atom %%(%.*s)s",
	    (int)MIN(name.n, (size_t)64), name.p);
}

/* Behind `%(`: the name, `)`, and Python's conversion, of which only the letter matters.
 * Returns the byte after it. */
static const char *
parse_atom(struct access_format *f, const char *p, struct err *e)
{
	const char *close = strchr(p, ')');
	const char *conv;

	if (close == NULL) {
		err_set(e, "access log format: no `)` after %%(%.40s", p);
		return NULL;
	}
	conv = close + 1 + strspn(close + 1, "-0123456789.");
	if (*conv == 0 || strchr("sdf", *conv) == NULL) {
		err_set(e, "access log format: no s, d or f after %%(%.*s)",
		    (int)MIN(close - p, 64), p);
		return NULL;
	}
	return atom_add(f, (struct str){p, (size_t)(close - p)}, e) < 0 ? NULL : conv + 1;
}

static int
compile(struct access_format *f, struct err *e)
{
	const char *p = f->spec;

	while (*p != 0) {
		const char *percent = strchrnul(p, '%');

		if (text_add(f, (struct str){p, (size_t)(percent - p)}, e) < 0)
			return -1;
		if (*percent == 0)
			return 0;
		if (percent[1] == '%') {
			if (text_add(f, (struct str){percent, 1}, e) < 0)
				return -1;
			p = percent + 2;
		} else if (percent[1] == '(') {
			p = parse_atom(f, percent + 2, e);
			if (p == NULL)
				return -1;
		} else {
			return err_set(
			    e, "access log format: `%%` must be %%%% or %%(atom)s");
		}
	}
	return 0;
}

struct access_format *
access_format_create(const char *spec, bool forwarded_for, struct err *e)
{
	struct access_format *f = calloc(1, sizeof(*f));

	if (spec == NULL)
		spec = "combined";
	if (f == NULL || strlen(spec) > SPEC_MAX) {
		err_set(e, f == NULL ? "no memory" : "access log format: too long");
		free(f);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(named_specs); i++)
		if (strcmp(spec, named_specs[i].name) == 0) {
			spec = named_specs[i].spec;
			f->json = named_specs[i].json;
			break;
		}
	f->second = INT64_MIN;
	f->ctx.forwarded_for = forwarded_for;
	snprintf(f->pid, sizeof(f->pid), "%d", (int)getpid());
	f->ctx.pid = str_of(f->pid);
	f->spec = strdup(spec);
	f->c_locale = newlocale(LC_TIME_MASK, "C", NULL);
	if (f->spec == NULL || f->c_locale == NULL || compile(f, e) < 0) {
		if (f->spec == NULL || f->c_locale == NULL)
			err_set(e, "no memory");
		access_format_destroy(f);
		return NULL;
	}
	return f;
}

bool
access_format_waits(const struct access_format *f)
{
	for (size_t i = 0; i < f->n_steps; i++)
		if (f->steps[i].fn == access_atom_acked)
			return true;
	return false;
}

void
access_format_destroy(struct access_format *f)
{
	if (f == NULL)
		return;
	if (f->c_locale != NULL)
		freelocale(f->c_locale);
	free(f->spec);
	free(f);
}

static void
dates_update(struct access_format *f, int64_t second)
{
	time_t when = (time_t)second;
	struct tm tm;

	localtime_r(&when, &tm);
	f->ctx.clf = (struct str){f->clf,
	    strftime_l(f->clf, sizeof(f->clf), "[%d/%b/%Y:%H:%M:%S %z]", &tm, f->c_locale)};
	f->ctx.eventlet =
	    (struct str){f->eventlet, strftime_l(f->eventlet, sizeof(f->eventlet),
					  "%d/%b/%Y %H:%M:%S", &tm, f->c_locale)};
	f->ctx.iso = (struct str){f->iso,
	    strftime_l(f->iso, sizeof(f->iso), "%Y-%m-%dT%H:%M:%S%z", &tm, f->c_locale)};
	f->second = second;
}

size_t
access_format_record(struct access_format *f, const struct req *r, int64_t now_unix_us,
    char *buf, size_t cap)
{
	struct text t = {.p = buf, .end = buf + cap - 1, .json = f->json};
	int64_t second = now_unix_us / 1000000;

	if (cap == 0)
		return 0;
	if (UNLIKELY(second != f->second))
		dates_update(f, second);
	f->ctx.r = r;
	for (size_t i = 0; i < f->n_steps; i++) {
		const struct step *s = &f->steps[i];

		if (s->fn == NULL)
			text_put(&t, s->text.p, s->text.n);
		else
			s->fn(&t, &f->ctx, s->text);
	}
	*t.p++ = '\n';
	return (size_t)(t.p - buf);
}

size_t
access_line_fill(const char *line, size_t n, uint64_t acked, char *buf, size_t cap)
{
	struct text t = {.p = buf, .end = buf + cap - 1};
	const char *end = line + n - 1, *gap; /* without the newline */

	while ((gap = memchr(line, 0, (size_t)(end - line))) != NULL) {
		text_put(&t, line, (size_t)(gap - line));
		text_put_number(&t, acked);
		line = gap + 1;
	}
	text_put(&t, line, (size_t)(end - line));
	*t.p++ = '\n';
	return (size_t)(t.p - buf);
}
