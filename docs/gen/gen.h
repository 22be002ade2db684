/* Pages made from the table of options: what each renderer gives to the generator.
 * SPDX-License-Identifier: MIT */
#pragma once

#include <stdio.h>

/* Writes the whole file, or the part between a page's markers. */
typedef void gen_fn(FILE *out);

gen_fn gen_markdown;    /* docs/generated/options.md */
gen_fn gen_man_options; /* the list in shoal(8) */
gen_fn gen_man_keys;    /* the list in shoal.conf(5) */
gen_fn gen_bash, gen_zsh, gen_fish;
gen_fn gen_methods; /* docs/generated/methods.md */
