/* metrics.workers: what a scrape of /metrics needs about workers and processes.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/minder.h"

/* Of every place that ever had a worker: so no series ends, and their sum stays right. */
static json_t *
make_slots(struct master *m)
{
	static struct slot_counts sums[FLEET_MAX];
	const struct fleet *f = &m->fleet;
	struct totals_snapshot now;
	json_t *list = json_array();

	minder_take(m->minder, &now);
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL)
			sums[i] = f->slots[i]->base;
	for (const struct proc *p = f->procs; p != NULL; p = p->next) {
		const struct totals_worker *w = totals_of(&m->minder->totals, p->seg);

		if (w != NULL)
			slot_counts_add(&sums[p->slot], w->seen.stats);
	}
	for (unsigned i = 0; i < FLEET_MAX; i++)
		if (f->slots[i] != NULL) {
			json_t *row = json_pack("{s:i}", "worker", (int)i);

			slot_counts_put(&sums[i], row);
			json_array_append_new(list, row);
		}
	return list;
}

int
ctl_metrics_workers(struct ctl_call *call)
{
	return ctl_reply(call, json_pack("{s:o}", "slots", make_slots(call->master)));
}
