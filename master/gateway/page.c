/* The dashboard's page, as the build compressed it (scripts/embed.py).
 * SPDX-License-Identifier: MIT */
#include "master/gateway/page.h"

#include "dashboard.inc"

#include <strings.h>

/* Nothing runs but the page's own script, and it may only ask this gateway: a path or an
 * account that a stranger has named stays text whatever is in it. */
#define POLICY                                                                             \
	"default-src 'none'; script-src '" DASHBOARD_SCRIPT                                \
	"'; style-src '" DASHBOARD_STYLE                                                   \
	"'; connect-src 'self'; img-src data:; frame-ancestors 'none'; "                   \
	"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"

#define VALIDATION "ETag: " DASHBOARD_ETAG "\r\nCache-Control: no-cache\r\n"
#define FIELDS                                                                             \
	VALIDATION "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"                   \
		   "Content-Security-Policy: " POLICY "\r\n"

/* The next element of a list field, without white space around it; false: the end. */
static bool
next_element(struct str *list, struct str *element)
{
	const char *comma;

	if (list->n == 0)
		return false;
	comma = memchr(list->p, ',', list->n);
	*element = (struct str){list->p, comma ? (size_t)(comma - list->p) : list->n};
	list->p += element->n + (comma != NULL);
	list->n -= element->n + (comma != NULL);
	while (element->n > 0 && strchr(" \t", element->p[0]) != NULL) {
		element->p++;
		element->n--;
	}
	while (element->n > 0 && strchr(" \t", element->p[element->n - 1]) != NULL)
		element->n--;
	return true;
}

/* A weight of nothing, as in gzip;q=0.0, refuses. */
static bool
weighs_nothing(struct str weight)
{
	for (size_t i = 0; i < weight.n; i++)
		if (weight.p[i] >= '1' && weight.p[i] <= '9')
			return false;
	return weight.n > 0;
}

/* RFC 9110, 12.5.3: who names no codings takes any. */
static bool
takes_gzip(const struct http *h)
{
	struct str list = http_field(h, "Accept-Encoding"), one;

	if (list.p == NULL)
		return true;
	while (next_element(&list, &one)) {
		const char *end = memchr(one.p, ';', one.n);
		const size_t n = end ? (size_t)(end - one.p) : one.n;

		if ((n == 4 && strncasecmp(one.p, "gzip", 4) == 0) ||
		    (n == 1 && one.p[0] == '*'))
			return !weighs_nothing((struct str){one.p + n, one.n - n});
	}
	return false;
}

static bool
has_it(const struct http *h)
{
	struct str list = http_field(h, "If-None-Match"), one;

	while (next_element(&list, &one)) {
		if (one.n > 2 && memcmp(one.p, "W/", 2) == 0)
			one = (struct str){one.p + 2, one.n - 2};
		if (str_eq(one, STR(DASHBOARD_ETAG)) || str_eq(one, STR("*")))
			return true;
	}
	return false;
}

void
page_run(struct http *h)
{
	static const char refusal[] = "the page is compressed: accept gzip\n";

	if (has_it(h))
		http_answer(h, 304, NULL, VALIDATION, "", 0);
	else if (!takes_gzip(h))
		http_answer(h, 406, "text/plain", NULL, refusal, sizeof(refusal) - 1);
	else
		http_answer(h, 200, "text/html; charset=utf-8", FIELDS, dashboard_gz,
		    sizeof(dashboard_gz));
}
