/* top.list: clients, hosts and user agents with the most requests, out of shared memory.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/ctl.h"
#include "master/master.h"
#include "master/minder.h"

#include <arpa/inet.h>
#include <stdio.h>

#define LIMIT_DEFAULT 100

/* In bytes; what else there is was not written by us. NULL: it is no address. */
static json_t *
client_to_json(const struct top_key *k)
{
	char text[INET6_ADDRSTRLEN + 4];
	uint8_t six[16] = {0};

	switch (k->key_n) {
	case 1:
		return json_string("unix");
	case 4:
		inet_ntop(AF_INET, k->key, text, sizeof(text));
		return json_string(text);
	case 8:
	case 16:
		memcpy(six, k->key, k->key_n);
		inet_ntop(AF_INET6, six, text, sizeof(text));
		return k->key_n == 16 ? json_string(text) : json_sprintf("%s/64", text);
	default:
		return NULL;
	}
}

static json_t *
key_to_json(const struct top_key *k, enum top_by by)
{
	return by == TOP_CLIENT ? client_to_json(k)
				: ctl_text((struct str){k->key, k->key_n});
}

static json_t *
entries_to_json(const struct top_sum *s, enum top_by by, size_t limit)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n && json_array_size(list) < limit; i++) {
		const struct top_key *k = &s->v[i];
		json_t *key = key_to_json(k, by);
		uint64_t requests, error;

		if (key == NULL)
			continue;
		top_sum_count(s, k, &requests, &error);
		json_array_append_new(
		    list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "key", key, "requests",
			      (json_int_t)requests, "sent_bytes", (json_int_t)k->bytes,
			      "errors", (json_int_t)k->errors, "error", (json_int_t)error));
	}
	return list;
}

/* Those of workers that are gone, and those of the living as they are now. */
static void
collect(struct master *m, enum top_by by, struct top_sum *to)
{
	static struct topk_list list;

	top_sum_join(to, &m->minder->top.gone[by]);
	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
		struct topk_table table;

		if (p->seg == NULL)
			continue;
		table = seg_top(p->seg, by);
		topk_read(&table, &list);
		top_sum_add(to, &list);
	}
	top_sum_sort(to);
}

int
ctl_top_list(struct ctl_call *call)
{
	static const char *const names[TOPS] = {
	    [TOP_CLIENT] = "client", [TOP_HOST] = "host", [TOP_AGENT] = "agent"};
	const char *name = ctl_param_str(call, "by", names[TOP_CLIENT]);
	const size_t limit = (size_t)ctl_param_int(call, "limit", LIMIT_DEFAULT);
	enum top_by by = TOP_CLIENT;
	struct top_sum sum;
	json_t *result;

	while (by < TOP_AGENT && strcmp(names[by], name) != 0)
		by++;
	if (!top_sum_init(&sum, TOP_MERGED))
		return ctl_fail(call, CTL_E_OVERLOADED, NULL, "out of memory");
	collect(call->master, by, &sum);
	result = json_pack("{s:s, s:I, s:I, s:I, s:o}", "by", names[by], "total",
	    (json_int_t)sum.n, "requests", (json_int_t)sum.requests, "unseen",
	    (json_int_t)sum.base, "entries", entries_to_json(&sum, by, limit));
	top_sum_finish(&sum);
	return ctl_reply(call, result);
}
