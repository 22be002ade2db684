/* The writer thread's side of one log file: paced writes, stalls, errors, switching files.
 * SPDX-License-Identifier: MIT */
#include "worker/logw_file.h"

#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

#define RETRY_NS (LOGW_RETRY_MS * 1000000ull)
#define DIRECT_WAIT_MS                                                                     \
	1000 /* without the thread a stalled pipe may hold a line this long */
#define FILE_CHUNK (256 * 1024)
#define REPORT_NS (60ull * 1000000000ull)

uint64_t
logw_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* What may stall is written in pieces that a poll() has announced. */
static bool
fd_is_paced(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
}

void
logw_file_use(struct logw_file *f, int fd)
{
	if (f->fd >= 0 && f->fd != fd)
		close(f->fd);
	f->fd = fd;
	f->paced = fd >= 0 && fd_is_paced(fd);
	f->retry_ns = 0;
	f->stalled_ns = 0;
}

/* Whole records, and for a pipe no more than it takes atomically: workers share it. */
static size_t
next_chunk(const struct logw_file *f, size_t end)
{
	size_t n = end - f->off, max = f->paced ? PIPE_BUF : FILE_CHUNK;
	const char *last;

	if (n <= max)
		return n;
	last = memrchr(f->p + f->off, '\n', max);
	return last == NULL ? max : (size_t)(last - (f->p + f->off)) + 1;
}

static bool
fd_writable(int fd, int ms)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	/* An error condition counts as writable: write() then says which one it is. */
	return poll(&pfd, 1, ms) > 0;
}

static void
report_failure(struct logw_file *f, int err)
{
	uint64_t now = logw_now_ns();

	if (f->failure_reported_ns != 0 && now - f->failure_reported_ns < REPORT_NS)
		return;
	f->failure_reported_ns = now;
	log_error("logs", "write failed", "stream=%s error=\"%s\" retry=1s", f->name,
	    strerror(err));
}

void
logw_file_report_drops(struct logw_file *f, uint64_t dropped)
{
	uint64_t now;

	if (LIKELY(dropped == f->drops_reported))
		return;
	now = logw_now_ns();
	if (f->drops_reported_ns != 0 && now - f->drops_reported_ns < REPORT_NS)
		return;
	log_warn("logs", "records dropped", "stream=%s dropped=%" PRIu64, f->name,
	    dropped - f->drops_reported);
	f->drops_reported_ns = now;
	f->drops_reported = dropped;
}

/* The new file takes over: nothing is left for the old one, or it no longer takes any. */
void
logw_file_switch(struct logw_file *f)
{
	logw_file_use(f, f->next_fd);
	f->next_fd = -1;
	f->switch_at = LOGW_NO_SWITCH;
}

/* True when the stream can go on at once. */
static bool
write_failed(struct logw_file *f, int err)
{
	if (err == EINTR)
		return true;
	if (err == EAGAIN || err == EWOULDBLOCK) {
		if (f->stalled_ns == 0)
			f->stalled_ns = logw_now_ns();
		return false;
	}
	report_failure(f, err);
	if (f->switch_at != LOGW_NO_SWITCH) {
		logw_file_switch(f);
		return true;
	}
	f->retry_ns = logw_now_ns() + RETRY_NS;
	return false;
}

bool
logw_file_drain(struct logw_file *f)
{
	if (f->retry_ns != 0 && logw_now_ns() < f->retry_ns)
		return false;
	f->retry_ns = 0;
	for (;;) {
		size_t end = MIN(f->n, f->switch_at);
		ssize_t done;

		if (f->fd < 0)
			f->off = end; /* the stream is off */
		if (f->off == end && f->switch_at == LOGW_NO_SWITCH)
			return true;
		if (f->off == end) {
			logw_file_switch(f);
			continue;
		}
		if (f->paced && !fd_writable(f->fd, 0))
			return write_failed(f, EAGAIN);
		done = write(f->fd, f->p + f->off, next_chunk(f, end));
		if (done > 0) {
			f->off += (size_t)done;
			f->stalled_ns = 0;
		} else if (!write_failed(f, done < 0 ? errno : EAGAIN)) {
			return false;
		}
	}
}

bool
logw_file_write_direct(struct logw_file *f, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done;

		if (f->paced && !fd_writable(f->fd, DIRECT_WAIT_MS))
			return false;
		done = write(f->fd, p, f->paced ? MIN(n, PIPE_BUF) : n);
		if (done < 0 && errno != EINTR)
			return false;
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
	return true;
}
