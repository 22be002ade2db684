/* session.whoami and lower. SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"

int
ctl_session_whoami(struct ctl_call *call)
{
	const struct ctl_peer *p = &call->peer;
	json_t *groups = json_array();

	for (size_t i = 0; i < p->n_groups; i++)
		json_array_append_new(groups, json_integer((json_int_t)p->groups[i]));
	return ctl_reply(call,
	    json_pack("{s:I, s:I, s:o, s:I, s:s, s:s}", "uid", (json_int_t)p->uid, "gid",
		(json_int_t)p->gid, "groups", groups, "pid", (json_int_t)p->pid, "comm",
		p->comm, "role", ctl_role_name(call->conn->peer.role)));
}

int
ctl_session_lower(struct ctl_call *call)
{
	enum ctl_role to = ctl_role_parse(ctl_param_str(call, "role", ""));
	enum ctl_role now = call->conn->peer.role;

	if (to > now)
		return ctl_fail(call, CTL_E_PERMISSION_DENIED,
		    json_pack("{s:s, s:s}", "role", ctl_role_name(now), "needs",
			ctl_role_name(to)),
		    "rights can only be given up: the role is %s already",
		    ctl_role_name(now));
	call->conn->peer.role = to;
	return ctl_reply(call, json_pack("{s:s}", "role", ctl_role_name(to)));
}
