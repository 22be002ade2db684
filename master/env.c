/* The environment a worker starts with: the supervisor's and the loader's variables are
 * dropped, --env is added. SPDX-License-Identifier: MIT */
#include "master/env.h"

extern char **environ;

/* A name that ends in `_` stands for every variable that begins so. */
static const char *const dropped[] = {
    "LD_",
    "LISTEN_",
    "WATCHDOG_",
    "NOTIFY_SOCKET",
};

static bool
is_dropped(const char *var)
{
	for (size_t i = 0; i < ARRAY_LEN(dropped); i++) {
		size_t n = strlen(dropped[i]);

		if (strncmp(var, dropped[i], n) == 0 &&
		    (dropped[i][n - 1] == '_' || var[n] == '='))
			return true;
	}
	return false;
}

/* Appends, or takes the place of an earlier value of the same name. */
static int
put(char **env, size_t *n, const char *var)
{
	const char *eq = strchr(var, '=');
	size_t name = eq ? (size_t)(eq - var) + 1 : strlen(var);
	char *copy = strdup(var);

	if (copy == NULL)
		return -1;
	for (size_t i = 0; i < *n; i++)
		if (strncmp(env[i], var, name) == 0) {
			free(env[i]);
			env[i] = copy;
			return 0;
		}
	env[(*n)++] = copy;
	return 0;
}

char **
env_create(const struct strlist *extra)
{
	size_t count = 0, n = 0;
	char **env;

	while (environ[count] != NULL)
		count++;
	env = calloc(count + extra->n + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (size_t i = 0; i < count + extra->n; i++) {
		const char *var = i < count ? environ[i] : extra->v[i - count];

		if (i < count && is_dropped(var))
			continue;
		if (put(env, &n, var) < 0) {
			env_destroy(env);
			return NULL;
		}
	}
	return env;
}

void
env_destroy(char **env)
{
	if (env == NULL)
		return;
	for (size_t i = 0; env[i] != NULL; i++)
		free(env[i]);
	free(env);
}
