/* Byte counts, times and outcome of a request as attributes. SPDX-License-Identifier: MIT
 */
#include "worker/py/transfer.h"

#include "worker/py/face.h"

#include <time.h>

enum number_id {
	N_BYTES_IN,
	N_HEAD,
	N_BODY,
	N_FRAMING,
	N_TLS,
	N_SENT,
	N_ACKED,
	N_STATUS,
	N_TTFB_US,
	N_DURATION_US,
	NUMBERS
};

struct numbers {
	uint64_t v[NUMBERS];
	int outcome; /* enum req_outcome */
	bool aborted;
	bool begun;   /* a first byte went out */
	bool settled; /* N_ACKED is known */
};

struct transfer {
	struct face face;
	struct numbers final; /* valid when face.call is NULL */
};

static const char *const reasons[REQ_OUTCOMES] = {
    [REQ_CLIENT_GONE] = "client gone",
    [REQ_TIMED_OUT] = "timeout",
    [REQ_APP_FAILED] = "application failed",
    [REQ_STOPPED] = "worker stopped",
};

static const char *const outcomes[REQ_OUTCOMES] = {
    [REQ_SENT] = "sent",
    [REQ_CLIENT_GONE] = "client-gone",
    [REQ_TIMED_OUT] = "timed-out",
    [REQ_APP_FAILED] = "app-failed",
    [REQ_STOPPED] = "stopped",
    [REQ_REFUSED] = "refused",
};

static uint64_t
load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void
read_numbers(const struct req *r, struct numbers *n)
{
	const struct req_counts *c = &r->counts;
	uint64_t first = load(&r->first_out_ns), end = load(&r->end_ns);
	struct timespec ts;

	if (end == 0) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		end = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	}
	n->v[N_BYTES_IN] =
	    load(&c->in_head) + load(&c->in_body) + load(&c->in_framing) + load(&c->in_tls);
	n->v[N_HEAD] = load(&c->out[OUT_HEAD]);
	n->v[N_BODY] = load(&c->out[OUT_BODY]);
	n->v[N_FRAMING] = load(&c->out[OUT_FRAMING]);
	n->v[N_TLS] = load(&c->out_tls);
	n->v[N_SENT] = n->v[N_HEAD] + n->v[N_BODY] + n->v[N_FRAMING] + n->v[N_TLS];
	n->v[N_TTFB_US] = first > r->start_ns ? (first - r->start_ns) / 1000 : 0;
	n->v[N_DURATION_US] = end > r->start_ns ? (end - r->start_ns) / 1000 : 0;
	n->outcome = atomic_load_explicit(&r->outcome, memory_order_acquire);
	/* Once it is known who answered. */
	n->v[N_STATUS] =
	    (uint64_t)(n->outcome != REQ_OPEN && r->taken_over ? r->own_status : r->status);
	n->aborted = atomic_load_explicit(&r->aborted, memory_order_relaxed) ||
		     (n->outcome > REQ_SENT && n->outcome < REQ_REFUSED);
	n->begun = first != 0;
	n->settled = atomic_load_explicit(&r->settled, memory_order_acquire);
	n->v[N_ACKED] = load(&r->acked);
}

bool
transfer_is_held(const struct call *c)
{
	return c->faces[FACE_TRANSFER] != NULL &&
	       Py_REFCNT(c->faces[FACE_TRANSFER]) > c->transfer_refs;
}

void
transfer_freeze(struct call *c)
{
	struct transfer *t = (struct transfer *)c->faces[FACE_TRANSFER];

	/* The environ dies with the call: nobody will ask. */
	if (!c->ending && Py_REFCNT(c->env) == 1 && !transfer_is_held(c))
		return;
	read_numbers(c->req, &t->final);
}

static void
get_numbers(PyObject *self, struct numbers *n)
{
	struct transfer *t = (struct transfer *)self;

	if (t->face.call != NULL)
		read_numbers(t->face.call->req, n);
	else
		*n = t->final;
}

static PyObject *
get_number(PyObject *self, void *which)
{
	enum number_id id = (enum number_id)(uintptr_t)which;
	struct numbers n;

	get_numbers(self, &n);
	if ((id == N_TTFB_US && !n.begun) || (id == N_ACKED && !n.settled))
		Py_RETURN_NONE;
	return PyLong_FromUnsignedLongLong(n.v[id]);
}

static PyObject *
get_aborted(PyObject *self, void *unused)
{
	struct numbers n;

	(void)unused;
	get_numbers(self, &n);
	return PyBool_FromLong(n.aborted);
}

/* A word by outcome, None where there is none. */
static PyObject *
get_word(PyObject *self, void *table)
{
	const char *const *words = table;
	struct numbers n;

	get_numbers(self, &n);
	if (words[n.outcome] == NULL)
		Py_RETURN_NONE;
	return PyUnicode_FromString(words[n.outcome]);
}

/* What a hook prints that is only looking. */
static PyObject *
transfer_repr(PyObject *self)
{
	struct numbers n;
	char acked[24] = "None";

	get_numbers(self, &n);
	if (n.settled)
		snprintf(acked, sizeof(acked), "%llu", (unsigned long long)n.v[N_ACKED]);
	return PyUnicode_FromFormat(
	    "<transfer %s: status %llu, in %llu, sent %llu, acked %s>",
	    outcomes[n.outcome] ? outcomes[n.outcome] : "under way",
	    (unsigned long long)n.v[N_STATUS], (unsigned long long)n.v[N_BYTES_IN],
	    (unsigned long long)n.v[N_SENT], acked);
}

static void
transfer_dealloc(PyObject *self)
{
	face_free(self, FACE_TRANSFER);
}

#define NUMBER(name, id, doc)                                                              \
	{                                                                                  \
		name, get_number, NULL, doc, (void *)(uintptr_t)(id)                       \
	}

static PyGetSetDef transfer_getset[] = {
    NUMBER("status", N_STATUS, "status code of the answer, 0 before there is one"),
    NUMBER("bytes_in", N_BYTES_IN, "bytes received for this request"),
    NUMBER("head", N_HEAD, "response head bytes the kernel took"),
    NUMBER("body", N_BODY, "response body bytes the kernel took"),
    NUMBER("framing", N_FRAMING, "chunk framing bytes the kernel took"),
    NUMBER("tls", N_TLS, "TLS bytes beyond the plain text"),
    NUMBER("sent", N_SENT, "all bytes of the answer the kernel took"),
    NUMBER("ttfb_us", N_TTFB_US, "microseconds until the first byte went out, or None"),
    NUMBER("duration_us", N_DURATION_US, "microseconds since the first byte came in"),
    NUMBER(
	"acked", N_ACKED, "of these, those the client acknowledged; None: not yet known"),
    {"outcome", get_word, NULL, "how it ended, None before that", (void *)outcomes},
    {"aborted", get_aborted, NULL, "whether the answer did not reach its end", NULL},
    {"abort_reason", get_word, NULL, "why it did not, or None", (void *)reasons},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot transfer_slots[] = {
    {Py_tp_doc, (void *)"What a request moved over the wire."},
    {Py_tp_dealloc, (void *)transfer_dealloc},
    {Py_tp_repr, (void *)transfer_repr},
    {Py_tp_getset, transfer_getset},
    {0, NULL},
};

static PyType_Spec transfer_spec = {
    .name = "_shoal.Transfer",
    .basicsize = sizeof(struct transfer),
    .flags = FACE_TYPE_FLAGS,
    .slots = transfer_slots,
};

int
transfer_add_type(struct state *st, PyObject *module)
{
	return face_add_type(st, module, &transfer_spec, FACE_TRANSFER);
}
