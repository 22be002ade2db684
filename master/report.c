/* Says how a worker ended and which requests were in it, from the shared segment that
 * outlives it. SPDX-License-Identifier: MIT */
#include "master/report.h"

#include "common/log.h"
#include "master/inflight.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#define REQUESTS_MAX 32 /* lines for one death */

size_t
report_cause(int status, char *buf, size_t max)
{
	const char *name;

	if (WIFEXITED(status))
		return (size_t)snprintf(buf, max, "status=%d", WEXITSTATUS(status));
	name = sigabbrev_np(WTERMSIG(status));
	if (name == NULL)
		return (size_t)snprintf(buf, max, "signal=%d", WTERMSIG(status));
	return (size_t)snprintf(
	    buf, max, "signal=SIG%s%s", name, WCOREDUMP(status) ? " core=yes" : "");
}

/* So that neither a log reader's terminal nor its key=value parser can be deceived. out
 * holds 4 bytes for each of n, and a NUL. */
static void
escape(const char *in, size_t n, char *out)
{
	for (size_t i = 0; i < n && in[i] != '\0'; i++) {
		unsigned char c = (unsigned char)in[i];

		if (c > 0x20 && c < 0x7f && c != '"' && c != '\\')
			*out++ = (char)c;
		else
			out += sprintf(out, "\\x%02x", c);
	}
	*out = '\0';
}

static void
log_request(const struct report *r, const struct inflight *f)
{
	char method[sizeof(f->bytes.method) * 4 + 1], path[sizeof(f->bytes.target) * 4 + 1];
	char peer[ADDR_TEXT_MAX];
	struct addr a = f->peer;
	long long age_ms = f->age_us / 1000;

	escape(f->method.p, f->method.n, method);
	escape(f->path.p, f->path.n, path);
	addr_text(&a, peer);
	log_error("master", "request lost",
	    "slot=%u pid=%d method=%s path=\"%s\" peer=%s age=%lld.%03llds stage=%s",
	    r->slot, (int)r->pid, method, path, peer, age_ms / 1000, age_ms % 1000,
	    inflight_stage(f));
}

static unsigned
log_requests(const struct report *r, const struct seg *seg)
{
	uint64_t now_ns = inflight_now_ns();
	struct inflight f;
	unsigned n = 0;

	for (size_t i = 0; i < SEG_INFLIGHT; i++)
		if (inflight_read(seg, i, now_ns, &f) && n++ < REQUESTS_MAX)
			log_request(r, &f);
	return n;
}

void
report_exit(const struct report *r, const struct seg *seg)
{
	char cause[64];
	unsigned n;

	report_cause(r->status, cause, sizeof(cause));
	if (r->expected) {
		log_info("master", "worker stopped", "slot=%u pid=%d %s", r->slot,
		    (int)r->pid, cause);
		return;
	}
	log_error("master", "worker died", "slot=%u pid=%d %s after=%lld.%03llds", r->slot,
	    (int)r->pid, cause, (long long)(r->life_ms / 1000),
	    (long long)(r->life_ms % 1000));
	n = seg ? log_requests(r, seg) : 0;
	if (n > REQUESTS_MAX)
		log_error("master", "more requests lost", "slot=%u pid=%d more=%u", r->slot,
		    (int)r->pid, n - REQUESTS_MAX);
}
