/* What a request adds to its account's row, and when. SPDX-License-Identifier: MIT */
#include "worker/net/account.h"

#include "common/conf.h"
#include "worker/net/account_key.h"
#include "worker/net/req_io.h"
#include "worker/worker.h"

#include <time.h>

/* So that one loop goes over both. */
_Static_assert(ACCT_in_head + 7 == ACCT_out_tls && OUT_KINDS == 3 &&
		   sizeof(struct req_counts) == 8 * sizeof(uint64_t) &&
		   ACCT_out_head == ACCT_in_tls + 1,
    "the columns of bytes are in the order of struct req_counts");

/* A TLS record adds at most 29 bytes to at most 16 KiB, and a send may make one per piece.
 */
#define TLS_EXTRA 4096

int
account_init(struct net *net, struct err *e)
{
	struct acct *a = &net->worker->accounts;

	if (a->head == NULL)
		return 0;
	if (acct_rule_parse(net->conf->account_key, &net->account_rule, e) < 0 ||
	    acct_begin(a, e) < 0)
		return -1;
	net->accounts = a;
	account_tick(net);
	return 0;
}

void
account_tick(struct net *net)
{
	struct timespec now;

	if (net->accounts == NULL)
		return;
	clock_gettime(CLOCK_BOOTTIME, &now);
	net->accounts->now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
fix(struct req *r)
{
	struct acct *a = r->net->accounts;
	struct req_account *ra = &r->acct;

	ra->row = account_key_row(r);
	ra->fixed = true;
	acct_row_hold(a, ra->row);
}

void
account_fix(struct req *r)
{
	if (r->net->accounts == NULL || r->acct.fixed)
		return;
	/* An interim answer goes out before anybody has said who pays. */
	if (r->taken_over || r->finished ||
	    atomic_load_explicit(&r->answering, memory_order_acquire))
		fix(r);
}

/* What grew since the last time; false: nothing. */
static bool
take_growth(struct req *r, uint64_t add[ACCT_COLUMNS])
{
	const _Atomic uint64_t *now = &r->counts.in_head;
	uint64_t grown = 0;

	for (int i = 0; i < 8; i++) {
		uint64_t v = atomic_load_explicit(&now[i], memory_order_relaxed);

		add[ACCT_in_head + i] = v - r->acct.seen[i];
		grown |= v ^ r->acct.seen[i];
		r->acct.seen[i] = v;
	}
	if (!r->acct.begun) {
		r->acct.begun = true;
		add[ACCT_requests] = 1;
		grown = 1;
	}
	if (r->slowed) {
		r->slowed = false;
		add[ACCT_throttled] = 1;
		grown = 1;
	}
	return grown != 0;
}

void
account_sent(struct req *r)
{
	struct acct *a = r->net->accounts;
	uint64_t add[ACCT_COLUMNS] = {0};

	if (!r->acct.open)
		return;
	r->acct.open = false;
	account_fix(r);
	if (r->acct.fixed && take_growth(r, add))
		acct_commit(a, r->acct.row, add);
	acct_intend(a, 0, 0);
}

void
account_intend(struct req *r, uint64_t n)
{
	if (r->net->accounts == NULL)
		return;
	account_sent(r);
	account_fix(r);
	r->acct.open = true;
	acct_intend(r->net->accounts, r->acct.fixed ? r->acct.row : ACCT_ROW_NONE,
	    r->tls ? n + TLS_EXTRA : n);
}

/* What is known only now, or was not known the last time. */
static bool
take_outcome(struct req *r, uint64_t add[ACCT_COLUMNS])
{
	struct req_account *ra = &r->acct;
	bool news = !ra->over;
	int status;

	if (!ra->over) {
		ra->over = true;
		add[ACCT_wall_us] = (r->end_ns - r->start_ns) / 1000;
		add[ACCT_aborted] = r->outcome != REQ_SENT && r->outcome != REQ_REFUSED;
	}
	if (!ra->judged && (r->taken_over || r->finished)) {
		ra->judged = true;
		status = r->taken_over ? r->own_status : r->status;
		add[ACCT_err5xx] = status >= 500 && status < 600;
		news |= add[ACCT_err5xx] > 0;
	}
	if (!ra->timed && (r->finished || !r->app_started)) {
		ra->timed = true;
		add[ACCT_app_us] = r->app_ns / 1000;
		news |= add[ACCT_app_us] > 0;
	}
	return news;
}

void
account_end(struct req *r)
{
	struct acct *a = r->net->accounts;
	uint64_t add[ACCT_COLUMNS] = {0};
	bool grown;

	if (a == NULL || (r->acct.over && r->acct.judged && r->acct.timed))
		return;
	if (!r->head_whole && !r->taken_over)
		return; /* not even a head came: no request */
	if (!r->acct.fixed)
		fix(r);
	if (r->conn != NULL)
		r->conn->paid_row = r->acct.row;
	grown = take_growth(r, add);
	if (take_outcome(r, add) || grown)
		acct_commit(a, r->acct.row, add);
	if (r->acct.open)
		acct_intend(a, 0, 0);
	r->acct.open = false;
}

/* The row was written a moment ago, so it is nobody else's yet. */
void
account_drained(struct conn *c, uint64_t body, uint64_t framing)
{
	const uint64_t add[ACCT_COLUMNS] = {
	    [ACCT_in_body] = body, [ACCT_in_framing] = framing};

	stat_add(c->net->seg, STAT_in_body, body);
	stat_add(c->net->seg, STAT_in_framing, framing);
	if (c->net->accounts != NULL && body + framing > 0)
		acct_commit(c->net->accounts, c->paid_row, add);
}

void
account_forget(struct req *r)
{
	if (r->acct.fixed)
		acct_row_release(r->net->accounts, r->acct.row);
}

uint32_t
account_hold(struct req *r)
{
	if (r->net->accounts == NULL)
		return 0;
	if (!r->acct.fixed)
		fix(r);
	acct_row_hold(r->net->accounts, r->acct.row);
	return r->acct.row;
}

void
account_undelivered(struct net *net, uint32_t row, uint64_t bytes)
{
	uint64_t add[ACCT_COLUMNS] = {0};

	if (bytes > 0)
		stat_add(net->seg, STAT_out_undelivered, bytes);
	if (net->accounts == NULL)
		return;
	add[ACCT_out_undelivered] = bytes;
	if (bytes > 0 && net->conf->billing_basis[0] == 'd')
		acct_commit(net->accounts, row, add);
	acct_row_release(net->accounts, row);
}
