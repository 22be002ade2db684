/* Pages made from the tables: what each renderer gives to the generator.
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
gen_fn gen_metrics; /* docs/generated/metrics.md */
gen_fn gen_ctl_bash, gen_ctl_zsh, gen_ctl_fish;
gen_fn gen_ctl_man_options, gen_ctl_man_verbs; /* the lists in shoalctl(1) */
/* The lists in shoal-control(7). */
gen_fn gen_control_methods, gen_control_events, gen_control_errors;
