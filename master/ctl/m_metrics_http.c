/* metrics.http: requests, connections and handshakes by their labels.
 * SPDX-License-Identifier: MIT */
#include "master/accept_queue.h"
#include "master/ctl/ctl.h"
#include "master/ctl/facts.h"
#include "master/inflight.h"
#include "master/master.h"
#include "master/minder.h"
#include "master/text.h"

#include <stdio.h>

/* The year 9999, where ASN.1's times end. */
#define NOT_AFTER_MAX 253402300799

/* One label and its words. */
struct axis {
	const char *label;
	const char *const *words;
	size_t n;
};

/* [{label: word, label: word, "count": n}, ...] of all combinations; the second label
 * varies fastest. It may be none. */
static json_t *
make_counts(const uint64_t *counts, const struct axis *first, const struct axis *second)
{
	json_t *list = json_array();
	const size_t n = second != NULL ? second->n : 1;

	for (size_t i = 0; i < first->n * n; i++) {
		json_t *one = json_pack("{s:s, s:I}", first->label, first->words[i / n],
		    "count", (json_int_t)counts[i]);

		if (second != NULL)
			json_object_set_new(
			    one, second->label, json_string(second->words[i % n]));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *
make_requests(const struct master *m, const struct totals_snapshot *s)
{
	const struct request_keys *keys = &m->minder->totals.request_keys;
	json_t *list = json_array();
	struct req_kind kind;

	for (size_t i = 0; request_sums_kind(keys, i, &kind); i++) {
		char code[8] = "other";

		if (s->tallies.requests[i] == 0 || kind.listener >= m->listeners.n)
			continue;
		if (kind.code != REQ_CODE_OTHER)
			snprintf(code, sizeof(code), "%u", req_codes[kind.code]);
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:I}", "listener",
			      m->listeners.v[kind.listener].name, "method",
			      req_methods[kind.method], "code", code, "count",
			      (json_int_t)s->tallies.requests[i]));
	}
	return list;
}

/* A worker's word, believed as far as it can be true. */
static uint64_t
read_gauge(const _Atomic uint64_t *gauge)
{
	uint64_t v = atomic_load_explicit(gauge, memory_order_relaxed);

	return v <= INT32_MAX ? v : 0;
}

static json_t *
make_phases(const struct master *m)
{
	const uint64_t now_ns = inflight_now_ns();
	json_t *list = json_array();

	for (size_t i = 0; i < NET_PHASE_COUNT; i++) {
		uint64_t n = 0, oldest_ns = now_ns;

		for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
			const struct seg_gauges *g;
			uint64_t since_ns;

			if (p->seg == NULL)
				continue;
			g = &p->seg->gauges;
			since_ns =
			    atomic_load_explicit(&g->oldest_ns[i], memory_order_relaxed);
			n += read_gauge(&g->in_phase[i]);
			if (since_ns != 0)
				oldest_ns = MIN(oldest_ns, since_ns);
		}
		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:f}", "phase", net_phase_words[i], "in_flight",
			(json_int_t)n, "oldest_age_s", (double)(now_ns - oldest_ns) / 1e9));
	}
	return list;
}

static json_t *
make_connections(const struct master *m, const struct axis *listeners)
{
	static const struct axis states = {"state", net_state_words, NET_STATE_COUNT};
	uint64_t n[SEG_LISTENERS * NET_STATE_COUNT] = {0};

	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next)
		for (size_t i = 0; p->seg != NULL && i < listeners->n * states.n; i++)
			n[i] += read_gauge(
			    &p->seg->gauges.connections[i / states.n][i % states.n]);
	return make_counts(n, listeners, &states);
}

static json_t *
make_handshakes(const struct totals_snapshot *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < NET_HANDSHAKES; i++) {
		const struct net_handshake *h = &net_handshakes[i];

		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:I}", "version", h->version, "result",
			      h->result, "resumed", h->resumed ? "true" : "false", "count",
			      (json_int_t)s->tallies.net[NET_COUNT_HANDSHAKES + i]));
	}
	return list;
}

/* The one of all serving workers that ends first: what a client may still be shown. */
static json_t *
make_certificates(const struct master *m, const struct axis *listeners)
{
	const struct seg_certificate *first = NULL;
	int64_t first_end = NOT_AFTER_MAX;
	json_t *list = json_array();
	char name[sizeof(first->name)];

	for (const struct proc *p = m->fleet.procs; p != NULL; p = p->next) {
		int64_t end = p->seg != NULL && life_accepts(p->state)
				  ? atomic_load_explicit(&p->seg->certificate.not_after,
					memory_order_acquire)
				  : 0;

		if (end > 0 && end < first_end) {
			first = &p->seg->certificate;
			first_end = end;
		}
	}
	if (first == NULL)
		return list;
	/* First copied: the worker may write while it is read. */
	memcpy(name, first->name, sizeof(name));
	for (size_t i = 0; i < listeners->n; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:o, s:I}", "listener", listeners->words[i],
			      "name", text_to_json(text_cut(name, sizeof(name))),
			      "not_after", (json_int_t)first_end));
	return list;
}

json_t *
facts_net(const struct master *m, const struct totals_snapshot *snapshot)
{
	static const struct axis phases = {"phase", net_phase_words, NET_PHASE_COUNT},
				 aborters = {"by", net_abort_words, NET_ABORT_COUNT},
				 rejects = {"reason", net_reject_words, NET_REJECT_COUNT},
				 closes = {"reason", net_close_words, NET_CLOSE_COUNT},
				 faults = {"reason", net_fault_words, NET_FAULT_COUNT};
	const uint64_t *net = snapshot->tallies.net;
	const char *names[LISTENERS_MAX];
	const struct axis listeners = {"listener", names, m->listeners.n};
	const int64_t overflows = accept_queue_overflows();

	for (size_t i = 0; i < m->listeners.n; i++)
		names[i] = m->listeners.v[i].name;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "requests",
	    make_requests(m, snapshot), "phases", make_phases(m), "aborted",
	    make_counts(net + NET_COUNT_ABORTED, &aborters, &phases), "rejected",
	    make_counts(net + NET_COUNT_REJECTED, &rejects, NULL), "closed",
	    make_counts(net + NET_COUNT_CLOSED, &closes, NULL), "connections",
	    make_connections(m, &listeners), "connection_errors",
	    make_counts(net + NET_COUNT_FAULTS, &listeners, &faults), "handshakes",
	    make_handshakes(snapshot), "listen_overflows",
	    overflows >= 0 ? json_integer(overflows) : json_null(), "certificates",
	    make_certificates(m, &listeners));
}

int
ctl_metrics_http(struct ctl_call *call)
{
	struct totals_snapshot s;

	minder_take(call->master->minder, &s);
	return ctl_reply(call, facts_net(call->master, &s));
}
