/* A row of bars that shows how a series went. SPDX-License-Identifier: MIT */
#pragma once

#include "common/base.h"

#include <jansson.h>

#define SPARK_CELLS 120
#define SPARK_MAX (SPARK_CELLS * 4 + 1)

struct spark {
	double cells[SPARK_CELLS]; /* the largest value of each; < 0: none */
	unsigned width;
	double least, most, sum, last;
	size_t n; /* values that are numbers */
};

/* width: at most SPARK_CELLS columns. */
void spark_init(struct spark *s, unsigned width);
/* Value i of n; null is a gap. */
void spark_add(struct spark *s, const json_t *v, size_t i, size_t n);
/* buf holds SPARK_MAX. */
const char *spark_draw(const struct spark *s, char *buf);
