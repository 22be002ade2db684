/* Looks at the rows of all segments: what they have counted becomes records, what makes no
 * sense does not. SPDX-License-Identifier: MIT */
#include "master/ledger/segments.h"

#include "master/ledger/columns.h"

#include <jansson.h>
#include <time.h>

/* What one worker can do at most, generously: 100 Gbit/s, a hundred million requests a
 * second. Microseconds may pass on ten thousand connections at once. */
#define BYTES_PER_S 12500000000.0
#define EVENTS_PER_S 100000000.0
#define MICROS_PER_S 1e10
#define GRACE_S 2.0
#define SAY_AGAIN_NS 60000000000u

static const double most_per_s[ACCT_COLUMNS] = {
#define RATE_OF(unit)                                                                      \
	(sizeof(unit) == sizeof("bytes")   ? BYTES_PER_S                                   \
	    : sizeof(unit) == sizeof("us") ? MICROS_PER_S                                  \
					   : EVENTS_PER_S)
#define ACCT(name, unit, ...) [ACCT_##name] = RATE_OF(unit),
#include "common/acct.def"
#undef ACCT
};

/* Counted when a request is answered or its connection ends, which may have taken as long
 * as the machine runs. */
static const bool at_the_end[ACCT_COLUMNS] = {
    [ACCT_in_head] = true,
    [ACCT_in_body] = true,
    [ACCT_in_framing] = true,
    [ACCT_in_tls] = true,
    [ACCT_out_undelivered] = true,
    [ACCT_app_us] = true,
    [ACCT_wall_us] = true,
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* NULL: fine. At the first look, all of the time since the machine started may have been
 * this worker's. */
static const char *
find_nonsense(
    const struct segment_row *r, const struct acct_view *v, uint64_t looked, uint64_t now)
{
	const double seconds = (double)(now - looked) / 1e9, uptime = (double)now / 1e9;

	if (r->known && v->epoch < r->epoch)
		return "an account came back to its row";
	for (unsigned i = 0; i < ACCT_COLUMNS; i++) {
		uint64_t before = r->known && v->epoch == r->epoch ? r->seen[i] : 0;

		if (v->value[i] < before)
			return "counters went backwards";
		if ((double)(v->value[i] - before) >
		    most_per_s[i] * ((at_the_end[i] ? uptime : seconds) + GRACE_S))
			return "counters went up faster than is possible";
	}
	return NULL;
}

static void
flag(struct segments *sg, struct segment *s, uint32_t row, const struct acct_view *v,
    const char *why)
{
	struct segment_row *r = &s->rows[row];
	uint64_t now = now_ns();

	s->flagged = true;
	if (r->lied_ns != 0 && now < r->lied_ns + SAY_AGAIN_NS)
		return;
	r->lied_ns = now;
	if (sg->ops.on_nonsense != NULL)
		sg->ops.on_nonsense(sg->ops.ctx, s, row, v->key, why);
}

static struct record *
new_record(struct segments *sg)
{
	if (sg->pending == NULL || sg->n_pending == sg->cap_pending) {
		size_t cap = sg->cap_pending ? sg->cap_pending * 2 : 256;
		void *grown = reallocarray(sg->pending, cap, sizeof(*sg->pending));

		if (grown == NULL)
			return NULL;
		sg->pending = grown;
		sg->cap_pending = cap;
	}
	sg->pending[sg->n_pending] = (struct record){0};
	return &sg->pending[sg->n_pending++];
}

/* The row's own record of this lot; of an earlier one when there are too many. */
static struct record *
find_record(struct segments *sg, struct segment *s, uint32_t row, const struct acct_view *v,
    const struct record *like)
{
	struct segment_row *r = &s->rows[row];
	struct record *last = r->last && sg->pending ? &sg->pending[r->last - 1] : NULL;

	if (last != NULL && last->id.epoch == v->epoch &&
	    (last->lot == like->lot || sg->n_pending >= SEGMENTS_PENDING_MAX))
		return last;
	last = new_record(sg);
	if (last == NULL)
		return NULL;
	*last = *like;
	memcpy(last->id.seg, s->id, SEGMENT_ID_LEN);
	last->id.row = row;
	last->id.epoch = v->epoch;
	memcpy(last->account, v->key, sizeof(last->account));
	r->last = (uint32_t)sg->n_pending;
	return last;
}

/* Names come from shared memory: what could not be said in JSON is nobody's. */
static void
check_key(struct acct_view *v)
{
	json_t *text = json_string(v->key);

	if (text == NULL || v->key[0] == '\0')
		strcpy(v->key, ACCT_NAME_NONE);
	json_decref(text);
}

static int
take_row(struct segments *sg, struct segment *s, uint32_t row, struct acct_view *v,
    const struct record *like)
{
	struct segment_row *r = &s->rows[row];
	bool same = r->known && r->epoch == v->epoch;
	int64_t delta[ACCT_COLUMNS];
	struct record *record;
	bool any = false;

	for (unsigned i = 0; i < ACCT_COLUMNS; i++) {
		delta[i] = (int64_t)(v->value[i] - (same ? r->seen[i] : 0));
		any |= delta[i] != 0;
	}
	if (any) {
		check_key(v);
		record = find_record(sg, s, row, v, like);
		if (record == NULL)
			return -1;
		for (unsigned i = 0; i < ACCT_COLUMNS; i++)
			record->delta[i] += delta[i];
		sg->uncertain += (uint64_t)delta[ACCT_uncertain];
		if (row == ACCT_ROW_OVERFLOW)
			sg->overflow_bytes += (uint64_t)columns_billable_of(delta);
		if (sg->ops.on_delta != NULL)
			sg->ops.on_delta(sg->ops.ctx, record->account, like->bucket, delta);
	}
	/* Also without a change: the published number says that the row is settled. */
	r->dirty = r->known = sg->news = true;
	r->epoch = v->epoch;
	r->seq = v->seq;
	memcpy(r->seen, v->value, sizeof(r->seen));
	return 0;
}

/* What it jumped by is not counted; what it counts from there on is. */
static void
pass_over(struct segments *sg, struct segment_row *r, const struct acct_view *v)
{
	r->seq = v->seq;
	if (r->known && v->epoch < r->epoch)
		return; /* its ids were given out: it counts again in its next life */
	r->known = r->dirty = sg->news = true;
	r->epoch = v->epoch;
	memcpy(r->seen, v->value, sizeof(r->seen));
}

static void
reject(struct segments *sg, struct segment *s, uint32_t row, const struct acct_view *v,
    const char *why)
{
	flag(sg, s, row, v, why);
	pass_over(sg, &s->rows[row], v);
}

static int
look(struct segments *sg, struct segment *s, const struct record *like)
{
	uint64_t now = now_ns();
	/* Before the rows: what is final now stays so. */
	bool closed = atomic_load(&s->acct.head->state) == ACCT_CLOSED;
	bool whole = true;

	for (uint32_t i = 0; i < acct_used(&s->acct); i++) {
		uint64_t seq = acct_row_seq(&s->acct, i);
		struct acct_view v;
		const char *why;

		if (s->rows[i].known && s->rows[i].seq == seq && s->looked_ns != 0)
			continue;
		if (!acct_read(&s->acct, i, &v)) {
			/* Being written all the time, or no name: the next look takes it.
			 */
			whole = false;
			continue;
		}
		why = find_nonsense(&s->rows[i], &v, s->looked_ns, now);
		if (why != NULL)
			reject(sg, s, i, &v, why);
		else if (take_row(sg, s, i, &v, like) < 0)
			return -1;
	}
	/* A row that cannot be read in a table nobody writes will never be readable. */
	s->closed = closed && (whole || s->closed_before);
	sg->news |= s->closed;
	s->closed_before = closed;
	s->looked_ns = now;
	return 0;
}

int
segments_collect(
    struct segments *sg, uint64_t lot, int64_t bucket, bool late, struct err *e)
{
	struct record like = {.lot = lot, .bucket = bucket, .late = late};

	for (size_t i = 0; i < sg->n; i++)
		if (!sg->v[i]->closed && look(sg, sg->v[i], &like) < 0)
			return err_set(e, "out of memory");
	return 0;
}

/* ---- Into the store ---- */

static int
put_marks(struct segments *sg, struct segment *s, struct store *store, struct err *e)
{
	for (uint32_t i = 0; i < acct_used(&s->acct); i++) {
		struct segment_row *r = &s->rows[i];
		struct row_id id = {.row = i, .epoch = r->epoch};

		memcpy(id.seg, s->id, SEGMENT_ID_LEN);
		if (r->dirty && store_mark(store, &id, r->seen, e) < 0)
			return -1;
	}
	if (!s->noted || s->closed)
		return store_note_segment(store, s->id, sg->boot, s->closed, e);
	return 0;
}

int
segments_put(struct segments *sg, struct store *store, struct err *e)
{
	for (size_t i = 0; i < sg->n_pending; i++)
		if (store_add(store, &sg->pending[i], e) < 0)
			return -1;
	for (size_t i = 0; i < sg->n; i++)
		if (put_marks(sg, sg->v[i], store, e) < 0)
			return -1;
	return 0;
}

static void
settle(struct segment *s)
{
	for (uint32_t i = 0; i < s->acct.rows; i++) {
		struct segment_row *r = &s->rows[i];
		struct acct_view v = {.epoch = r->epoch, .seq = r->seq};

		r->last = 0;
		if (!r->dirty)
			continue;
		r->dirty = false;
		memcpy(v.value, r->seen, sizeof(v.value));
		acct_applied_set(&s->acct, i, &v);
	}
	s->noted = true;
}

void
segments_settle(struct segments *sg)
{
	for (size_t i = 0; i < sg->n; i++)
		settle(sg->v[i]);
	sg->n_pending = 0;
	sg->news = false;
}

void
segments_mark_all(struct segments *sg)
{
	sg->news = true;
	for (size_t i = 0; i < sg->n; i++) {
		sg->v[i]->noted = false;
		for (uint32_t k = 0; k < sg->v[i]->acct.rows; k++)
			sg->v[i]->rows[k].dirty = sg->v[i]->rows[k].known;
	}
}

size_t
segments_count_rows(const struct segments *sg)
{
	size_t n = 0;

	for (size_t i = 0; i < sg->n; i++)
		n += acct_used(&sg->v[i]->acct);
	return n;
}
