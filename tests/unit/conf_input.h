/* A configuration's sources in a scratch directory, for the tests that load one.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

extern char **environ;

#define ARGS_MAX 16

struct input {
	const char *args[ARGS_MAX]; /* without the program's name */
	const char *env[4];         /* "NAME=VALUE" */
	const char *file;           /* content of ./shop.json */
	const char *py;             /* content of ./gunicorn.conf.py */
};

static char dir[] = "/tmp/shoal-conf-XXXXXX";

static int
enter_directory(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	return chdir(dir);
}

static int
leave_directory(void **state)
{
	(void)state;
	unlink("shop.json");
	unlink("gunicorn.conf.py");
	unlink("cert.pem");
	return chdir("/") != 0 || rmdir(dir) != 0 ? -1 : 0;
}

static void
write_file(const char *path, const char *text)
{
	FILE *f;

	unlink(path);
	if (text == NULL)
		return;
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* The variables of the machine that runs the test must not count. */
static void
set_environment(const struct input *in)
{
	clearenv();
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	for (size_t i = 0; i < ARRAY_LEN(in->env) && in->env[i] != NULL; i++)
		assert_int_equal(putenv((char *)(uintptr_t)in->env[i]), 0);
}

__attribute__((unused)) static int
load(struct conf *c, const struct input *in, struct conf_action *action, struct err *e)
{
	char *argv[ARGS_MAX + 1] = {(char *)(uintptr_t) "shoal"};
	int argc = 1;

	for (; argc <= ARGS_MAX && in->args[argc - 1] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)in->args[argc - 1];
	set_environment(in);
	write_file("shop.json", in->file);
	write_file("gunicorn.conf.py", in->py);
	e->text[0] = '\0';
	return conf_load(c, argc, argv, action, e);
}

#define A(...) .args = {__VA_ARGS__}
#define E(...) .env = {__VA_ARGS__}
#define FILE_AND_APP A("-c", "shop.json", "shop:app")
