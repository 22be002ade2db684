/* Counters of ledgers, which begin anew with each process, as sums that do not.
 * SPDX-License-Identifier: MIT */
#include "master/books_sums.h"

void
books_sums_begin(struct books_sums *s)
{
	ledger_counts_add(&s->gone, &s->now);
	s->now = (struct ledger_counts){0};
}

static void
take_gauges(struct books_sums *s, const json_t *from)
{
	double until = json_number_value(json_object_get(from, "complete_until"));

	/* One that cannot open its file knows of none. */
	if (until > 0)
		s->complete_until = until;
	s->database_bytes = json_integer_value(json_object_get(from, "database_bytes"));
	s->outbox_records = json_integer_value(json_object_get(from, "outbox_records"));
	s->disk_free_bytes = json_integer_value(json_object_get(from, "disk_free_bytes"));
}

void
books_sums_take(struct books_sums *s, const json_t *said)
{
	ledger_counts_read(&s->now, json_object_get(said, "counts"));
	take_gauges(s, said);
}

json_t *
books_sums_save(const struct books_sums *s)
{
	struct ledger_counts all = s->gone;

	ledger_counts_add(&all, &s->now);
	return json_pack("{s:o, s:f, s:I, s:I, s:I}", "counts", ledger_counts_to_json(&all),
	    "complete_until", s->complete_until, "database_bytes", s->database_bytes,
	    "outbox_records", s->outbox_records, "disk_free_bytes", s->disk_free_bytes);
}

void
books_sums_restore(struct books_sums *s, const json_t *from)
{
	ledger_counts_read(&s->gone, json_object_get(from, "counts"));
	take_gauges(s, from);
}
