/* metrics.workers: what a scrape of /metrics needs about workers and processes.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"

/* What all workers of each place counted; of no more use after the answer. */
static const struct slot_counts *
sum_by_slot(struct master *m)
{
	static struct slot_counts sums[FLEET_MAX];
	const struct fleet *f = &m->fleet;
	struct totals_snapshot now;

	minder_take(m->minder, &now);
	meter_look(&m->minder->meter, m);
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			sums[i] = f->slots[i]->base;
	for (const struct proc *p = f->procs; p != NULL; p = p->next) {
		const struct totals_worker *w = totals_of(&m->minder->totals, p->seg);

		slot_counts_add_cpu(
		    &sums[p->slot], p->usage.user_ticks, p->usage.system_ticks);
		if (w != NULL)
			slot_counts_add(&sums[p->slot], w->seen.stats);
	}
	return sums;
}

/* Whether requests may come to this place; null: it was scaled away. */
static json_t *
get_up(const struct fleet *f, const struct slot *s)
{
	if (s->serving == NULL && s->index >= f->wanted)
		return json_null();
	return json_integer(s->serving != NULL && life_accepts(s->serving->state));
}

static json_t *
make_slot(const struct fleet *f, const struct slot *s, const struct slot_counts *sum)
{
	const struct proc *p = s->serving;
	json_t *row = json_pack("{s:i, s:o, s:o}", "worker", (int)s->index, "up",
	    get_up(f, s), "heartbeat_age_s", facts_heartbeat_age(p));

	if (p != NULL) {
		json_object_set_new(row, "generation", json_integer(p->gen->number));
		json_object_set_new(row, "started", json_real(p->born_at));
	}
	slot_counts_put(sum, row);
	return row;
}

/* Each process in one state, so that their sum is how many there are. */
static json_t *
count_states(const struct fleet *f)
{
	json_t *v = json_object();

	for (enum life_state state = 0; state < LIFE_DEAD; state++) {
		unsigned n = fleet_count(f, state);

		/* One that has not been asked anything yet is idle, too. */
		if (state == LIFE_READY)
			continue;
		if (state == LIFE_IDLE)
			n += fleet_count(f, LIFE_READY);
		json_object_set_new(v, life_name(state), json_integer(n));
	}
	return v;
}

/* A place that was scaled away is told on with its counters: no series of those ends, and
 * their sum stays right. */
int
ctl_metrics_workers(struct ctl_call *call)
{
	struct master *m = call->master;
	const struct fleet *f = &m->fleet;
	const struct slot_counts *sums = sum_by_slot(m);
	json_t *v = tally_to_json(&f->tally), *slots = json_array();
	json_t *cpu = meter_cpu(&m->minder->meter, m);

	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL) {
			json_array_append_new(slots, make_slot(f, f->slots[i], &sums[i]));
			meter_put_cpu(cpu, "worker", json_integer(i), sums[i].user_ticks,
			    sums[i].system_ticks);
		}
	json_object_set_new(v, "states", count_states(f));
	json_object_set_new(v, "target", json_integer(f->wanted));
	json_object_set_new(v, "slots", slots);
	json_object_set_new(v, "cpu", cpu);
	json_object_set_new(v, "processes", meter_processes(&m->minder->meter, m));
	return ctl_reply(call, v);
}
