/* Requests by route, in the shared segment. SPDX-License-Identifier: MIT */
#include "worker/net/routes.h"

#include "worker/net/req_io.h"

/* FNV-1a. Whoever makes all names collide makes a search of SEG_ROUTES steps. */
static uint32_t
hash(const char *p, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)p[i]) * 16777619u;
	return h ^ h >> 16;
}

uint32_t
routes_find(struct routes *t, struct seg *s, const char *name, size_t n)
{
	uint32_t slot = hash(name, n) % ROUTES_INDEX;
	struct seg_route *route;

	for (; t->at[slot] != 0; slot = (slot + 1) % ROUTES_INDEX) {
		route = &s->routes[t->at[slot] - 1];
		if (route->name_n == n && memcmp(route->name, name, n) == 0)
			return (uint32_t)(route - s->routes);
	}
	if (t->n == SEG_ROUTES)
		return SEG_ROUTES_OTHER;
	route = &s->routes[t->n];
	memcpy(route->name, name, n);
	atomic_store_explicit(&route->name_n, (uint32_t)n, memory_order_release);
	t->at[slot] = (uint8_t)(t->n + 1);
	return t->n++;
}

/* What the application has not begun to answer may still be changing its name. */
void
routes_count(const struct req *r)
{
	struct net *net = r->net;
	uint64_t ns = r->end_ns - r->start_ns;
	struct seg_route *to;

	if (!atomic_load_explicit(&r->answering, memory_order_acquire) || r->route_n == 0)
		return;
	to = &net->seg->routes[routes_find(&net->routes, net->seg, r->route, r->route_n)];
	counter_add(&to->bucket[seg_route_bucket(ns)], 1);
	counter_add(&to->sum_us, (ns + 500) / 1000);
	if (r->status >= 500 && r->status < 600)
		counter_add(&to->errors, 1);
	counter_add(&to->classes[hist_class(ns)], 1);
}
