/* A row of bars that shows how a series went. SPDX-License-Identifier: MIT */
#include "master/cli/spark.h"

#include "master/cli/text.h"

#include <stdio.h>

void
spark_init(struct spark *s, unsigned width)
{
	*s = (struct spark){.width = MIN(width, (unsigned)SPARK_CELLS)};
	for (unsigned i = 0; i < SPARK_CELLS; i++)
		s->cells[i] = -1;
}

void
spark_add(struct spark *s, const json_t *v, size_t i, size_t n)
{
	size_t cell = n <= s->width ? i : i * s->width / n;
	double d = json_number_value(v);

	if (!json_is_number(v) || cell >= s->width)
		return;
	s->cells[cell] = MAX(s->cells[cell], d);
	s->least = s->n == 0 ? d : MIN(s->least, d);
	s->most = s->n == 0 ? d : MAX(s->most, d);
	s->sum += d;
	s->last = d;
	s->n++;
}

const char *
spark_draw(const struct spark *s, char *buf)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {".", ":", "-", "=", "+", "*", "#", "@"};
	size_t n = 0, top = ARRAY_LEN(bars) - 1;

	buf[0] = '\0';
	for (unsigned i = 0; i < s->width; i++) {
		double part = s->most > 0 ? s->cells[i] / s->most : 0;
		size_t level = (size_t)(MAX(0, MIN(part, 1)) * (double)top + 0.5);
		const char *bar = text_is_ascii() ? ascii[level] : bars[level];

		n += (size_t)snprintf(
		    buf + n, SPARK_MAX - n, "%s", s->cells[i] < 0 ? " " : bar);
	}
	return buf;
}
