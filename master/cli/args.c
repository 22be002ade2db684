/* Reads the words behind a verb. SPDX-License-Identifier: MIT */
#include "master/cli/args.h"

#include "common/conf_value.h"

#include <ctype.h>
#include <inttypes.h>

struct reader {
	struct args *a;
	char *const *argv;
	size_t argc, i;
	size_t position; /* the next one */
	bool ended;      /* by --: no more options */
	struct err *e;
};

static json_t *
number_of(const char *s, struct err *e)
{
	int64_t n;

	if (conf_value_int(s, &n) == 0)
		return json_integer(n);
	err_set(e, "'%s' is not a whole number", s);
	return NULL;
}

static json_t *
seconds_of(const char *s, struct err *e)
{
	int64_t ms;

	if (conf_value_duration(s, &ms) != 0) {
		err_set(e, "'%s' is not a duration; examples: 30, 1.5, 10m, 1h30m", s);
		return NULL;
	}
	return ms % 1000 == 0 ? json_integer(ms / 1000) : json_real((double)ms / 1000);
}

static json_t *
ratio_of(const char *s, struct err *e)
{
	char *end;
	double d = strtod(s, &end);

	if (*s >= '0' && *s <= '9' && *end == '\0' && d <= 1)
		return json_real(d);
	err_set(e, "'%s' is not a part of 1, such as 0.02", s);
	return NULL;
}

static json_t *
object_of(const char *s, struct err *e)
{
	json_error_t why;
	json_t *v = json_loads(s, JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(v))
		return v;
	if (v != NULL)
		err_set(e, "parameters are a JSON object: {\"name\":value}");
	else
		err_set(e, "column %d of the parameters: %s", why.column, why.text);
	json_decref(v);
	return NULL;
}

static json_t *
signed_of(const char *s, struct err *e)
{
	int64_t n;

	if (conf_value_int(s + (*s == '-' || *s == '+'), &n) == 0)
		return json_integer(*s == '-' ? -n : n);
	err_set(e, "'%s' is not a whole number", s);
	return NULL;
}

#define SIZE_MOST 9e18

/* kB, MB, GB, TB: powers of 1000, as contracts have them. 0: it is none of these. */
static int64_t
decimal_unit(const char *unit)
{
	static const char letters[] = "kmgt";
	int64_t factor = 1000;

	for (const char *p = letters; *p != '\0'; p++, factor *= 1000)
		if (tolower((unsigned char)unit[0]) == *p &&
		    tolower((unsigned char)unit[1]) == 'b' && unit[2] == '\0')
			return factor;
	return 0;
}

/* All others are as in the configuration: 10G and 512MiB are of powers of 1024. */
static json_t *
size_of(const char *s, struct err *e)
{
	size_t digits = strspn(s, "0123456789");
	const char *unit = s + digits + strspn(s + digits, ".0123456789");
	int64_t factor = decimal_unit(unit), n;
	char *end;

	if (factor > 0 && digits > 0) {
		double v = strtod(s, &end) * (double)factor;

		if (end == unit && v < SIZE_MOST)
			return json_integer((json_int_t)(v + 0.5));
	} else if (conf_value_size(s, &n) == 0) {
		return json_integer(n);
	}
	err_set(e, "'%s' is not a size; examples: 500, 10GB, 512MiB", s);
	return NULL;
}

static json_t *
words_of(const char *s, struct err *e)
{
	json_t *list = json_array(), *word;

	for (size_t n; *s != '\0'; s += n + (s[n] == ',')) {
		n = strcspn(s, ",");
		word = json_stringn(s, n);
		if (word == NULL || n == 0) {
			err_set(e, "expected words with commas between them");
			json_decref(word);
			json_decref(list);
			return NULL;
		}
		json_array_append_new(list, word);
	}
	return list;
}

/* New reference; NULL: e. */
static json_t *
value_of(enum arg_type type, const char *s, struct err *e)
{
	json_t *v;

	switch (type) {
	case ARG_NUMBER:
		return number_of(s, e);
	case ARG_RATIO:
		return ratio_of(s, e);
	case ARG_SECONDS:
		return seconds_of(s, e);
	case ARG_JSON:
		return object_of(s, e);
	case ARG_SIGNED:
		return signed_of(s, e);
	case ARG_SIZE:
		return size_of(s, e);
	case ARG_WORDS:
		return words_of(s, e);
	default:
		v = json_string(s);
		if (v == NULL)
			err_set(e, "an argument is not UTF-8");
		return v;
	}
}

/* 12 is the target, +2 and -1 are a difference. */
static int
set_scale(struct args *a, const char *s, struct err *e)
{
	bool delta = *s == '+' || *s == '-';
	int64_t n;

	if (conf_value_int(s + delta, &n) != 0 || n < 0)
		return err_set(e, "'%s' is neither a number of workers nor +N nor -N", s);
	json_object_set_new(
	    a->params, delta ? "delta" : "target", json_integer(*s == '-' ? -n : n));
	return 0;
}

static bool
among(const char *choices, const char *s)
{
	size_t n = strlen(s);

	for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
		p += *p == '|';
		if (strncmp(p, s, n) == 0 && (p[n] == '|' || p[n] == '\0'))
			return true;
	}
	return false;
}

static bool
is_choice(const char *arg)
{
	return arg != NULL && strchr(arg, '|') != NULL;
}

static int
take_position(struct reader *r, const char *s)
{
	const struct arg_position *p = &r->a->verb->positions[r->position];
	json_t *v, *list;

	if (r->position == VERB_POSITIONS || p->title == NULL)
		return err_set(r->e, "unexpected argument '%s'", s);
	if (!p->repeats)
		r->position++;
	if (p->type == ARG_TEXT && is_choice(p->title) && !among(p->title, s))
		return err_set(r->e, "'%s' is not one of %s", s, p->title);
	if (p->type == ARG_SCALE)
		return set_scale(r->a, s, r->e);
	v = value_of(p->type, s, r->e);
	if (v == NULL)
		return -1;
	if (!p->repeats)
		return json_object_set_new(
		    p->type == ARG_JSON ? r->a->local : r->a->params, p->param, v);
	list = json_object_get(r->a->params, p->param);
	if (list == NULL) {
		list = json_array();
		json_object_set_new(r->a->params, p->param, list);
	}
	return json_array_append_new(list, v);
}

static int
set_flag(struct reader *r, const struct arg_flag *f, const char *s)
{
	char letter[2] = {f->letter, '\0'};
	const char *name = f->name ? f->name : letter;
	json_t *v;

	if (f->arg == NULL)
		v = f->value ? json_string(f->value) : json_true();
	else if (is_choice(f->arg) && !among(f->arg, s))
		return err_set(r->e, "--%s: '%s' is not one of %s", name, s, f->arg);
	else
		v = value_of(f->type, s, r->e);
	if (v == NULL)
		return err_wrap(r->e, "%s%s", f->name ? "--" : "-", name);
	return json_object_set_new(
	    f->param ? r->a->params : r->a->local, f->param ? f->param : name, v);
}

static const struct arg_flag *
flag_among(
    const struct arg_flag *flags, size_t n, char letter, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++) {
		const struct arg_flag *f = &flags[i];

		if (letter != 0 && f->letter == letter)
			return f;
		if (letter == 0 && f->name && strlen(f->name) == len &&
		    strncmp(f->name, name, len) == 0)
			return f;
	}
	return NULL;
}

static const struct arg_flag *
find_flag(const struct args *a, char letter, const char *name, size_t len)
{
	const struct arg_flag *f = NULL;

	if (a->verb != NULL)
		f = flag_among(a->verb->flags, VERB_FLAGS, letter, name, len);
	return f ? f : flag_among(verb_globals, verb_globals_count, letter, name, len);
}

/* Its value: behind it in the same word, or the next word. */
static int
flag_value(struct reader *r, const struct arg_flag *f, const char *rest, const char *word)
{
	if (f->arg == NULL && rest != NULL)
		return err_set(r->e, "%s takes no value", word);
	if (f->arg == NULL || rest != NULL)
		return set_flag(r, f, rest);
	if (r->i + 1 >= r->argc)
		return err_set(r->e, "%s needs a value: %s", word, f->arg);
	return set_flag(r, f, r->argv[++r->i]);
}

static int
take_long(struct reader *r, const char *word)
{
	size_t len = strcspn(word + 2, "=");
	const struct arg_flag *f = find_flag(r->a, 0, word + 2, len);

	if (f == NULL)
		return err_set(r->e, "unknown option '%.*s'", (int)(len + 2), word);
	return flag_value(r, f, word[len + 2] == '=' ? word + len + 3 : NULL, word);
}

static int
take_letters(struct reader *r, const char *word)
{
	for (const char *p = word + 1; *p != '\0'; p++) {
		const struct arg_flag *f = find_flag(r->a, *p, NULL, 0);
		const char *rest = p[1] == '\0' ? NULL : p + 1;

		if (f == NULL)
			return err_set(r->e, "unknown option '-%c'", *p);
		if (f->arg != NULL)
			return flag_value(r, f, rest, word);
		if (set_flag(r, f, NULL) != 0)
			return -1;
	}
	return 0;
}

static int
take_word(struct reader *r, const char *word)
{
	/* -1 is a number unless the verb has such a letter (kill 3 -9). */
	bool number = word[0] == '-' && word[1] >= '0' && word[1] <= '9' &&
		      find_flag(r->a, word[1], NULL, 0) == NULL;

	if (r->ended && r->a->verb != NULL)
		return take_position(r, word);
	if (word[0] == '-' && word[1] == '-' && word[2] != '\0')
		return take_long(r, word);
	if (word[0] == '-' && word[1] != '\0' && word[1] != '-' && !number)
		return take_letters(r, word);
	if (strcmp(word, "--") == 0) {
		r->ended = true;
		return 0;
	}
	if (r->a->verb != NULL)
		return take_position(r, word);

	size_t words = 0;

	r->a->verb = verb_find(r->argv + r->i, r->argc - r->i, &words);
	if (r->a->verb == NULL) {
		const char *near = verb_nearest(word);

		return err_set(r->e, "unknown verb '%s'%s%s%s", word,
		    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	}
	r->i += words - 1;
	return 0;
}

int
args_parse(struct args *a, char *const *argv, size_t argc, struct err *e)
{
	struct reader r = {.a = a, .argv = argv, .argc = argc, .e = e};
	const struct arg_position *next;

	*a = (struct args){.params = json_object(), .local = json_object()};
	for (; r.i < argc; r.i++)
		if (take_word(&r, argv[r.i]) != 0)
			return -1;
	if (a->verb == NULL || args_has(a, "help") || args_has(a, "version"))
		return 0;
	next = r.position < VERB_POSITIONS ? &a->verb->positions[r.position] : NULL;
	if (next != NULL && next->title != NULL && !next->optional &&
	    json_object_get(a->params, next->param) == NULL)
		return err_set(e, "%s needs %s", a->verb->name, next->title);
	return 0;
}

void
args_finish(struct args *a)
{
	json_decref(a->params);
	json_decref(a->local);
	*a = (struct args){0};
}

const json_t *
args_local(const struct args *a, const char *name)
{
	return json_object_get(a->local, name);
}

bool
args_has(const struct args *a, const char *name)
{
	return args_local(a, name) != NULL;
}
