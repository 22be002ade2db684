/* Reads --account-key. SPDX-License-Identifier: MIT */
#include "common/acct_rule.h"

#include <stdlib.h>

#define SEGMENTS_MAX 16
#define HEADER_MAX 128

/* After RFC 9110 5.6.2. */
static bool
is_token(struct str s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') &&
		    strchr(marks, c) == NULL)
			return false;
	}
	return s.n > 0 && s.n <= HEADER_MAX;
}

static const char *
after(const char *text, const char *word)
{
	size_t n = strlen(word);

	return strncmp(text, word, n) == 0 ? text + n : NULL;
}

int
acct_rule_parse(const char *text, struct acct_rule *rule, struct err *e)
{
	const char *rest;
	char *end;

	*rule = (struct acct_rule){0};
	if (text == NULL)
		return 0;
	if (strcmp(text, "host") == 0) {
		rule->kind = ACCT_RULE_HOST;
		return 0;
	}
	if (strcmp(text, "tls_cn") == 0) {
		rule->kind = ACCT_RULE_TLS_CN;
		return 0;
	}
	if ((rest = after(text, "header:")) != NULL && is_token(str_of(rest))) {
		rule->kind = ACCT_RULE_HEADER;
		rule->header = str_of(rest);
		return 0;
	}
	rest = after(text, "path_prefix:");
	if (rest != NULL && *rest >= '1' && *rest <= '9') {
		unsigned long n = strtoul(rest, &end, 10);

		rule->kind = ACCT_RULE_PREFIX;
		rule->segments = (unsigned)n;
		if (*end == '\0' && n <= SEGMENTS_MAX)
			return 0;
	}
	return err_set(e,
	    "expected host, header:NAME, path_prefix:N (1 to %d segments) or tls_cn",
	    SEGMENTS_MAX);
}

int
acct_rule_check(const char *text, struct err *e)
{
	struct acct_rule rule;

	return acct_rule_parse(text, &rule, e);
}
