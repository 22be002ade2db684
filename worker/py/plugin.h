/* What the launcher finds in a plugin by dlsym: no Python type is named here.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

struct worker;

#define PLUGIN_ABI 1 /* of struct plugin and of the worker library behind it */
#define PLUGIN_SYMBOL "shoal_plugin"

struct plugin {
	uint32_t abi;
	int python_major, python_minor; /* of the headers it was built with */
	/* Starts the interpreter of the libpython already loaded, runs the worker to its
	 * end and never returns; failures go to worker_fail(). */
	void (*run_embedded)(struct worker *w) __attribute__((noreturn));
};
