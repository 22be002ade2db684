/* Draws `shoalctl top`: a model and a size in, one frame of bytes out. Pure.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "master/cli/top_model.h"

/* The whole screen, from its first row to its last, to be written at once. Every row is
 * at most `width` columns; nothing from the server gets through but printable text. free()
 * it; NULL without memory. *n: its bytes. */
char *top_screen_draw(
    const struct top_model *m, unsigned width, unsigned height, size_t *n);
