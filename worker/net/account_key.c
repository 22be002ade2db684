/* From a request to a row: the application's word, or --account-key. Everything here may
 * come from a client; acct_key_fold() makes a name of it.
 * SPDX-License-Identifier: MIT */
#include "worker/net/account_key.h"

#include "common/quota.h"
#include "worker/net/req_io.h"

#include <strings.h>

#define SUBJECT_MAX 1024

static struct str
request_field(const struct req *r, struct str name)
{
	for (uint32_t i = 0; i < r->head.n_fields; i++) {
		const struct field *f = &r->head.fields[i];

		if (f->name.len == name.n &&
		    strncasecmp(r->base + f->name.off, name.p, name.n) == 0)
			return span_str(r->base, f->value);
	}
	return (struct str){NULL, 0};
}

/* Without the port; the brackets of an IPv6 address stay. */
static struct str
without_port(struct str host)
{
	size_t end = host.n;

	while (end > 0 && host.p[end - 1] >= '0' && host.p[end - 1] <= '9')
		end--;
	if (end > 0 && host.p[end - 1] == ':')
		host.n = end - 1;
	return host;
}

static size_t
fold_host(const struct req *r, char to[ACCT_KEY_MAX])
{
	struct str host = without_port(span_str(r->base, r->head.host));
	char lower[256];

	host.n = MIN(host.n, sizeof(lower));
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];

		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return acct_key_fold(lower, host.n, to);
}

/* "/a/b" of "/a/b/c"; a path with fewer segments is all of it. */
static size_t
fold_prefix(const struct req *r, char to[ACCT_KEY_MAX])
{
	struct str path = span_str(r->base, r->head.path);
	unsigned left = r->net->account_rule.segments + 1;
	size_t n = 0;

	while (n < path.n && (path.p[n] != '/' || --left > 0))
		n++;
	return n == 0 ? acct_key_fold("/", 1, to) : acct_key_fold(path.p, n, to);
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of an RFC 2253 attribute, without its escapes; in place. */
static size_t
unescape(char *p)
{
	size_t out = 0;

	for (size_t i = 0; p[i] != '\0' && p[i] != ',' && p[i] != '+'; i++) {
		if (p[i] == '\\' && hex_digit(p[i + 1]) >= 0 && hex_digit(p[i + 2]) >= 0) {
			p[out++] = (char)(hex_digit(p[i + 1]) << 4 | hex_digit(p[i + 2]));
			i += 2;
			continue;
		}
		if (p[i] == '\\' && p[i + 1] != '\0')
			i++;
		p[out++] = p[i];
	}
	return out;
}

static size_t
fold_common_name(const struct req *r, char to[ACCT_KEY_MAX])
{
	char subject[SUBJECT_MAX] = "", *p = subject;

	if (r->conn == NULL || !r->tls)
		return 0;
	tls_client_subject(&r->conn->t, subject, sizeof(subject));
	while (*p != '\0') {
		if (strncmp(p, "CN=", 3) == 0)
			return acct_key_fold(p + 3, unescape(p + 3), to);
		for (; *p != '\0' && *p != ',' && *p != '+'; p++)
			if (*p == '\\' && p[1] != '\0')
				p++;
		if (*p != '\0')
			p++;
	}
	return 0;
}

size_t
account_key_rule(const struct req *r, char to[ACCT_KEY_MAX])
{
	struct str value;

	switch (r->net->account_rule.kind) {
	case ACCT_RULE_HOST:
		return fold_host(r, to);
	case ACCT_RULE_HEADER:
		value = request_field(r, r->net->account_rule.header);
		return value.n == 0 ? 0 : acct_key_fold(value.p, value.n, to);
	case ACCT_RULE_PREFIX:
		return fold_prefix(r, to);
	case ACCT_RULE_TLS_CN:
		return fold_common_name(r, to);
	default:
		return 0;
	}
}

static bool
has_quota(const struct net *net, const char *key, size_t n)
{
	struct quota_view view;

	if (net->quota == NULL)
		return false;
	quota_find(net->quota, key, n, &view);
	return view.limit > 0;
}

/* The last request's row on this connection is mostly this one's, too. */
static uint32_t
row_of(struct req *r, const char *key, size_t n)
{
	struct acct *a = r->net->accounts;
	struct conn *c = r->conn;
	uint32_t row;

	if (c != NULL && c->account_row != 0 && acct_row_is(a, c->account_row, key, n))
		return c->account_row;
	row = has_quota(r->net, key, n) ? acct_row_find_kept(a, key, n)
					: acct_row_find(a, key, n);
	if (c != NULL)
		c->account_row = row;
	return row;
}

size_t
account_key_of(const struct req *r, char to[ACCT_KEY_MAX])
{
	if (atomic_load_explicit(&r->answering, memory_order_acquire) && r->account_n > 0) {
		memcpy(to, r->account, MIN((size_t)r->account_n, (size_t)ACCT_KEY_MAX));
		return r->account_n;
	}
	return r->net->account_rule.kind == ACCT_RULE_NONE ? 0 : account_key_rule(r, to);
}

uint32_t
account_key_row(struct req *r)
{
	char key[ACCT_KEY_MAX];
	size_t n = 0;

	/* Questions of the server to itself, and answers of its own that are no refusals:
	 * the health path. */
	if ((r->conn != NULL && r->conn->own) || (!r->app_started && !r->taken_over))
		return ACCT_ROW_INTERNAL;
	if (atomic_load_explicit(&r->answering, memory_order_acquire) && r->account_n > 0)
		return row_of(r, r->account, r->account_n);
	/* A head that was refused may have no fields to look at. */
	if (r->head_whole)
		n = account_key_rule(r, key);
	return n == 0 ? ACCT_ROW_NONE : row_of(r, key, n);
}
