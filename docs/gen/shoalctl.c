/* Completions and the manual page of shoalctl, from its table of verbs.
 * SPDX-License-Identifier: MIT */
#include "docs/gen/gen.h"

#include "master/cli/verb.h"

#define WORD_MAX 64

/* Prints the names of the instances that run. */
#define INSTANCES "shoalctl instances 2>/dev/null | cut -f 1 | tail -n +2"

/* The first word of a verb's name. */
static const char *
first_word(const struct verb *v, char buf[WORD_MAX])
{
	snprintf(buf, WORD_MAX, "%.*s", (int)strcspn(v->name, " "), v->name);
	return buf;
}

static const char *
second_word(const struct verb *v)
{
	const char *space = strchr(v->name, ' ');

	return space ? space + 1 : NULL;
}

/* Does a verb before it begin with the same word? */
static bool
seen_before(size_t i)
{
	char a[WORD_MAX], b[WORD_MAX];

	return i > 0 && strcmp(first_word(&verbs[i], a), first_word(&verbs[i - 1], b)) == 0;
}

static bool
is_list(const char *title, enum arg_type type)
{
	return title != NULL && type == ARG_TEXT && strchr(title, '|') != NULL;
}

static void
put_choices(FILE *out, const char *words)
{
	for (; *words != '\0'; words++)
		fputc(*words == '|' ? ' ' : *words, out);
}

/* What may follow the verb's first word: second words, choices, options. */
static void
put_followers(FILE *out, size_t i)
{
	char a[WORD_MAX], b[WORD_MAX];

	for (size_t k = i; k < verbs_count; k++) {
		const struct verb *v = &verbs[k];

		if (strcmp(first_word(&verbs[i], a), first_word(v, b)) != 0)
			break;
		if (second_word(v) != NULL)
			fprintf(out, " %s", second_word(v));
		if (is_list(v->positions[0].title, v->positions[0].type)) {
			fputc(' ', out);
			put_choices(out, v->positions[0].title);
		}
		for (size_t f = 0; f < VERB_FLAGS; f++)
			if (v->flags[f].name != NULL)
				fprintf(out, " --%s", v->flags[f].name);
	}
}

/* The branches for options whose value is one of some words. */
static void
bash_choices(FILE *out)
{
	for (size_t i = 0; i < verbs_count; i++)
		for (size_t f = 0; f < VERB_FLAGS; f++) {
			const struct arg_flag *flag = &verbs[i].flags[f];

			if (flag->name == NULL || !is_list(flag->arg, flag->type))
				continue;
			fprintf(out, "\t--%s)\n\t\tmapfile -t COMPREPLY < <(compgen -W '",
			    flag->name);
			put_choices(out, flag->arg);
			fputs("' -- \"$cur\")\n\t\treturn\n\t\t;;\n", out);
		}
}

static void
put_globals(FILE *out)
{
	for (size_t i = 0; i < verb_globals_count; i++)
		fprintf(out, " --%s", verb_globals[i].name);
}

void
gen_ctl_bash(FILE *out)
{
	char word[WORD_MAX];

	fputs("# bash completion for shoalctl. Made by scripts/gen-docs from "
	      "master/cli/verbs.c.\n"
	      "# SPDX-License-Identifier: MIT\n"
	      "_shoalctl() {\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	      "\tlocal word verb='' skip=''\n"
	      "\tcase $prev in\n"
	      "\t-s | --socket | --binary)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	      "\t\treturn\n\t\t;;\n"
	      "\t-i | --instance)\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$(" INSTANCES ")\" -- \"$cur\")\n"
	      "\t\treturn\n\t\t;;\n",
	    out);
	bash_choices(out);
	fputs(
	    "\tesac\n"
	    "\tfor word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
	    "\t\tif [[ -n $skip ]]; then\n\t\t\tskip=\n"
	    "\t\telif [[ $word == -[si] || $word == --@(socket|instance|timeout) ]]; then\n"
	    "\t\t\tskip=1\n"
	    "\t\telif [[ $word != -* ]]; then\n\t\t\tverb=$word\n\t\t\tbreak\n\t\tfi\n"
	    "\tdone\n"
	    "\tlocal words\n"
	    "\tcase $verb in\n"
	    "\t'') words='",
	    out);
	for (size_t i = 0; i < verbs_count; i++)
		if (!seen_before(i))
			fprintf(out, "%s%s", i ? " " : "", first_word(&verbs[i], word));
	put_globals(out);
	fputs("' ;;\n", out);
	for (size_t i = 0; i < verbs_count; i++) {
		if (seen_before(i))
			continue;
		fprintf(out, "\t%s) words='", first_word(&verbs[i], word));
		put_followers(out, i);
		fputs(" --help' ;;\n", out);
	}
	fputs("\tesac\n"
	      "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "}\ncomplete -o default -F _shoalctl shoalctl\n",
	    out);
}

/* Inside of '...': quotes end it; colons separate a word from its help. */
static void
zsh_text(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *text) != NULL)
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void
zsh_flag(FILE *out, const struct arg_flag *f)
{
	if (f->name != NULL && f->letter != 0)
		fprintf(out, " '(-%c --%s)'{-%c,--%s}'[", f->letter, f->name, f->letter,
		    f->name);
	else if (f->name != NULL)
		fprintf(out, " '--%s[", f->name);
	else
		fprintf(out, " '-%c[", f->letter);
	zsh_text(out, f->help);
	fputc(']', out);
	if (f->name != NULL && strcmp(f->name, "instance") == 0) {
		fputs(":NAME:{compadd -- ${(f)\"$(" INSTANCES ")\"}}", out);
	} else if (is_list(f->arg, f->type)) {
		fputs(":value:(", out);
		put_choices(out, f->arg);
		fputc(')', out);
	} else if (f->arg != NULL) {
		fprintf(out, ":%s:%s", f->arg, strcmp(f->arg, "PATH") == 0 ? "_files" : "");
	}
	fputc('\'', out);
}

/* The words that may follow the first one of verbs with two. */
static void
zsh_second_words(FILE *out, size_t i)
{
	char a[WORD_MAX], b[WORD_MAX];

	if (second_word(&verbs[i]) == NULL || seen_before(i))
		return;
	fprintf(out, "\t'%s')\n\t\t_arguments '1: :((", first_word(&verbs[i], a));
	for (size_t k = i; k < verbs_count; k++)
		if (strcmp(a, first_word(&verbs[k], b)) == 0) {
			fprintf(out, "%s%s\\:\"", k > i ? " " : "", second_word(&verbs[k]));
			zsh_text(out, verbs[k].help);
			fputc('"', out);
		}
	fputs("))'\n\t\t;;\n", out);
}

static void
zsh_verb(FILE *out, size_t i)
{
	const struct verb *v = &verbs[i];
	const struct arg_position *p = &v->positions[0];

	zsh_second_words(out, i);
	fprintf(out, "\t'%s')\n\t\t_arguments", v->name);
	for (size_t f = 0; f < VERB_FLAGS; f++)
		if (v->flags[f].name != NULL || v->flags[f].letter != 0)
			zsh_flag(out, &v->flags[f]);
	if (is_list(p->title, p->type)) {
		fputs(" '1:value:(", out);
		put_choices(out, p->title);
		fputs(")'", out);
	} else if (p->title != NULL) {
		fprintf(out, " '%s:%s:%s'", p->repeats ? "*" : "1", p->title,
		    strcmp(p->title, "FILE") == 0 ? "_files" : "");
	}
	fputs("\n\t\t;;\n", out);
}

void
gen_ctl_zsh(FILE *out)
{
	char word[WORD_MAX];

	fputs("#compdef shoalctl\n"
	      "# zsh completion for shoalctl. Made by scripts/gen-docs from "
	      "master/cli/verbs.c.\n"
	      "# SPDX-License-Identifier: MIT\n"
	      "local state line verb\nlocal -a verbs\nverbs=(\n",
	    out);
	for (size_t i = 0; i < verbs_count; i++) {
		if (second_word(&verbs[i]) != NULL) {
			if (!seen_before(i))
				fprintf(out, "\t'%s'\n", first_word(&verbs[i], word));
			continue;
		}
		fprintf(out, "\t'%s:", verbs[i].name);
		zsh_text(out, verbs[i].help);
		fputs("'\n", out);
	}
	fputs(")\n_arguments -C", out);
	for (size_t i = 0; i < verb_globals_count; i++)
		zsh_flag(out, &verb_globals[i]);
	fputs(" '1: :->verb' '*:: :->rest'\n"
	      "case $state in\n"
	      "verb) _describe verb verbs ;;\n"
	      "rest)\n"
	      "\tverb=$words[1]\n"
	      "\tif [[ -n ${(M)verbs:#$verb} ]] && (( CURRENT > 2 )); then\n"
	      "\t\tverb=\"$verb $words[2]\"\n\t\tshift words\n\t\t(( CURRENT-- ))\n\tfi\n"
	      "\tcase $verb in\n",
	    out);
	for (size_t i = 0; i < verbs_count; i++)
		zsh_verb(out, i);
	fputs("\tesac\n\t;;\nesac\n", out);
}

/* Single quotes of fish: \' and \\ . */
static void
fish_quoted(FILE *out, const char *text)
{
	fputs(" -d '", out);
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputs("'\n", out);
}

static void
fish_flag(FILE *out, const struct arg_flag *f, const char *condition)
{
	if (f->name == NULL && f->letter == 0)
		return;
	fprintf(out, "complete -c shoalctl%s", condition);
	if (f->letter != 0)
		fprintf(out, " -s %c", f->letter);
	if (f->name != NULL)
		fprintf(out, " -l %s", f->name);
	if (f->name != NULL && strcmp(f->name, "instance") == 0) {
		fputs(" -x -a '(" INSTANCES ")'", out);
	} else if (is_list(f->arg, f->type)) {
		fputs(" -x -a '", out);
		put_choices(out, f->arg);
		fputc('\'', out);
	} else if (f->arg != NULL) {
		fputs(strcmp(f->arg, "PATH") == 0 ? " -r -F" : " -x", out);
	}
	fish_quoted(out, f->help);
}

void
gen_ctl_fish(FILE *out)
{
	char word[WORD_MAX], condition[WORD_MAX * 2];

	fputs("# fish completion for shoalctl. Made by scripts/gen-docs from "
	      "master/cli/verbs.c.\n"
	      "# SPDX-License-Identifier: MIT\n"
	      "complete -c shoalctl -f\n",
	    out);
	for (size_t i = 0; i < verb_globals_count; i++)
		fish_flag(out, &verb_globals[i], "");
	for (size_t i = 0; i < verbs_count; i++) {
		const struct verb *v = &verbs[i];

		first_word(v, word);
		snprintf(condition, sizeof(condition),
		    " -n '__fish_seen_subcommand_from %s'", word);
		if (!seen_before(i)) {
			fprintf(out, "complete -c shoalctl -n __fish_use_subcommand -a %s",
			    word);
			fish_quoted(out, v->help);
		}
		if (second_word(v) != NULL) {
			fprintf(
			    out, "complete -c shoalctl%s -a %s", condition, second_word(v));
			fish_quoted(out, v->help);
		}
		if (is_list(v->positions[0].title, v->positions[0].type)) {
			fprintf(out, "complete -c shoalctl%s -a '", condition);
			put_choices(out, v->positions[0].title);
			fputs("'\n", out);
		}
		for (size_t f = 0; f < VERB_FLAGS; f++)
			fish_flag(out, &v->flags[f], condition);
	}
}

static char
capital(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void
man_flag(FILE *out, const struct arg_flag *f)
{
	if (f->name == NULL && f->letter == 0)
		return;
	fputs(".It", out);
	if (f->letter != 0)
		fprintf(out, " Fl %c%s", f->letter, f->name ? " ," : "");
	if (f->name != NULL)
		fprintf(out, " Fl \\-%s", f->name);
	if (f->arg != NULL)
		fprintf(out, " Ar %s", f->arg);
	fprintf(out, "\n%c%s.\n", capital(f->help[0]), f->help + 1);
}

void
gen_ctl_man_options(FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0; i < verb_globals_count; i++)
		man_flag(out, &verb_globals[i]);
	fputs(".El\n", out);
}

static void
man_verb(FILE *out, const struct verb *v)
{
	char synopsis[128];

	fprintf(out, ".It Cm %s", v->name);
	if (*verb_synopsis(v, synopsis, sizeof(synopsis)) != '\0')
		fprintf(out, " Ar %s", synopsis);
	fprintf(out, "\n%c%s%s\n", capital(v->help[0]), v->help + 1,
	    v->help[strlen(v->help) - 1] == '?' ? "" : ".");
	if (verb_size_note(v) != NULL)
		fprintf(out, "%s\n", verb_size_note(v));
	if (v->method != NULL)
		fprintf(out, "Method:\n.Cm %s .\n", v->method);
	if (v->flags[0].name == NULL && v->flags[0].letter == 0)
		return;
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t f = 0; f < VERB_FLAGS; f++)
		man_flag(out, &v->flags[f]);
	fputs(".El\n", out);
}

void
gen_ctl_man_verbs(FILE *out)
{
	for (unsigned g = 0; g < VERB_GROUPS; g++) {
		fprintf(out, ".Ss %s\n.Bl -tag -width Ds\n", verb_group_titles[g]);
		for (size_t i = 0; i < verbs_count; i++)
			if (verbs[i].group == g)
				man_verb(out, &verbs[i]);
		fputs(".El\n", out);
	}
}
