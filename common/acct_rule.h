/* --account-key: what of a request names who is billed. SPDX-License-Identifier: MIT */
#pragma once

#include "common/err.h"

enum acct_rule_kind {
	ACCT_RULE_NONE,
	ACCT_RULE_HOST,   /* Host, in lower case, without the port */
	ACCT_RULE_HEADER, /* a request field */
	ACCT_RULE_PREFIX, /* the first segments of the path */
	ACCT_RULE_TLS_CN, /* of the verified client certificate */
};

struct acct_rule {
	enum acct_rule_kind kind;
	unsigned segments; /* ACCT_RULE_PREFIX */
	struct str header; /* ACCT_RULE_HEADER; borrowed from the text */
};

/* NULL: none. */
NODISCARD int acct_rule_parse(const char *text, struct acct_rule *rule, struct err *e);
NODISCARD int acct_rule_check(const char *text, struct err *e);
