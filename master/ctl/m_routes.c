/* routes.list: requests by the route the application named.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/master.h"
#include "master/minder.h"

static int
by_requests(const void *left, const void *right)
{
	const struct route *const *l = left, *const *r = right;
	uint64_t a = routes_requests(&(*l)->counts), b = routes_requests(&(*r)->counts);

	return a < b ? 1 : a > b ? -1 : strcmp((*l)->name, (*r)->name);
}

static json_t *
route_to_json(const struct route *r)
{
	const struct route_counts *c = &r->counts;
	const char *name = r->name[0] == '\0' ? ROUTES_OTHER : r->name;

	return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:o}", "route", name, "requests",
	    (json_int_t)routes_requests(c), "errors", (json_int_t)c->errors, "p50_us",
	    routes_quantile(c, 0.5), "p99_us", routes_quantile(c, 0.99), "sum_s",
	    (double)c->sum_us / 1e6, "classic", facts_classes(c->classes));
}

int
ctl_routes_list(struct ctl_call *call)
{
	struct minder *m = call->master->minder;
	const struct route *order[ROUTES_KEPT + 1];
	json_t *list = json_array();
	size_t n = 0;

	minder_look_at_routes(m);
	for (uint32_t i = 0; i <= m->routes.n; i++)
		if (routes_requests(&m->routes.v[i].counts) > 0)
			order[n++] = &m->routes.v[i];
	qsort(order, n, sizeof(struct route *), by_requests);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, route_to_json(order[i]));
	return ctl_reply(
	    call, json_pack("{s:o, s:I}", "routes", list, "total", (json_int_t)n));
}
