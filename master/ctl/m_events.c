/* events.subscribe and history, unsubscribe. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"
#include "master/master.h"

int
ctl_events_subscribe(struct ctl_call *call)
{
	const struct events *ev = &call->master->events;

	return ctl_sub_events(call, json_object_get(call->params, "types"),
	    (uint64_t)ctl_param_int(call, "since_seq", (int64_t)ev->seq));
}

int
ctl_events_history(struct ctl_call *call)
{
	const struct events *ev = &call->master->events;
	const json_t *types = json_object_get(call->params, "types");
	size_t limit = (size_t)ctl_param_int(call, "limit", 100);
	bool plain = call->conn->peer.role < CTL_OPERATOR;
	bool forward = ctl_has_param(call, "since_seq");
	uint64_t since = (uint64_t)ctl_param_int(call, "since_seq", 0);
	uint64_t oldest = events_oldest(ev);
	uint64_t seq = forward ? MAX(since + 1, oldest) : ev->seq;
	json_t *list = json_array();

	while (oldest != 0 && seq >= oldest && seq <= ev->seq &&
	       json_array_size(list) < limit) {
		const struct event_record *r = events_get(ev, seq);

		if (ctl_types_match(types, r->type)) {
			json_t *v = plain ? ctl_plain_event(r) : events_to_json(r);

			if (forward)
				json_array_append_new(list, v);
			else
				json_array_insert_new(list, 0, v);
		}
		seq = forward ? seq + 1 : seq - 1;
	}
	return ctl_reply(call, json_pack("{s:o, s:I, s:I}", "events", list, "seq",
				   (json_int_t)ev->seq, "oldest_seq", (json_int_t)oldest));
}

int
ctl_unsubscribe(struct ctl_call *call)
{
	json_int_t number = ctl_param_int(call, "sub", 0);

	if (ctl_sub_end(call->conn, number) < 0)
		return ctl_fail(call, CTL_E_NOT_FOUND, json_pack("{s:I}", "what", number),
		    "this connection has no subscription %" JSON_INTEGER_FORMAT, number);
	return ctl_reply(call, json_object());
}
