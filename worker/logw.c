/* The log writer: producers copy a record and go on, one thread collects and writes.
 * SPDX-License-Identifier: MIT */
#include "worker/logw.h"

#include "common/log.h"
#include "worker/logw_file.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <time.h>

#define WAKE_BYTES (32 * 1024)
#define DELAY_MS 100

/* What the thread is doing, as far as a producer must know. */
enum nap {
	NAP_AWAKE, /* it will look again by itself */
	NAP_DELAY, /* it sleeps for DELAY_MS: wake it only for a full load */
	NAP_IDLE,  /* it sleeps until it is told of the first record */
};

enum mode { MODE_DIRECT, MODE_THREAD, MODE_GAVE_UP };

/* The producers' half: everything here is under writer.lock. */
struct inbox {
	char *p;
	size_t n;
	size_t switch_at; /* records from here on belong to next_fd; LOGW_NO_SWITCH */
	int next_fd;      /* owned; -1 without a switch */
	bool busy;        /* the thread still has an older load of this stream */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t ended_cond;
	pthread_t thread;
	enum mode mode;
	enum nap nap;
	bool urgent; /* a switch or the end: no delay */
	bool stopping;
	bool ended;
	uint64_t stop_ns;
	int kick_fd;
	struct inbox in[LOGW_STREAMS];
	struct logw_file out[LOGW_STREAMS];
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER, .kick_fd = -1};

static _Atomic uint64_t dropped[LOGW_STREAMS];
/* Touched as they fill: an idle log costs no memory. */
static char buffers[LOGW_STREAMS][2][LOGW_BUFFER];
static const char *const stream_names[] = {
    [LOGW_ACCESS] = "access", [LOGW_ERROR] = "error"};

static void
count_drop(enum logw_stream stream, uint64_t n)
{
	atomic_fetch_add_explicit(&dropped[stream], n, memory_order_relaxed);
}

/* Under the lock: swaps the two buffers of a stream. */
static void
outbox_take(struct logw_file *o, struct inbox *in)
{
	char *empty = o->p;

	o->p = in->p;
	o->n = in->n;
	o->off = 0;
	o->switch_at = in->switch_at;
	o->next_fd = in->next_fd;
	in->p = empty;
	in->n = 0;
	in->switch_at = LOGW_NO_SWITCH;
	in->next_fd = -1;
	in->busy = true;
}

/* Under the lock: a reopening came while the old file takes nothing, so that it would never
 * be its turn. All that waits goes to the new one. */
static void
switch_early(struct logw_file *f, struct inbox *in)
{
	bool stuck = f->retry_ns != 0 ||
		     (f->stalled_ns != 0 &&
			 logw_now_ns() - f->stalled_ns > LOGW_RETRY_MS * 1000000ull);

	if (in->switch_at != LOGW_NO_SWITCH) {
		if (!stuck)
			return;
		if (f->switch_at != LOGW_NO_SWITCH)
			logw_file_switch(f);
		f->next_fd = in->next_fd;
		in->next_fd = -1;
		in->switch_at = LOGW_NO_SWITCH;
		logw_file_switch(f);
	} else if (stuck && f->switch_at != LOGW_NO_SWITCH) {
		logw_file_switch(f);
	}
}

static void
take_loads(void)
{
	pthread_mutex_lock(&writer.lock);
	writer.nap = NAP_AWAKE;
	writer.urgent = false;
	for (int i = 0; i < LOGW_STREAMS; i++) {
		struct inbox *in = &writer.in[i];

		if (in->busy)
			switch_early(&writer.out[i], in);
		else if (in->n > 0 || in->switch_at != LOGW_NO_SWITCH)
			outbox_take(&writer.out[i], in);
	}
	pthread_mutex_unlock(&writer.lock);
}

/* Gives empty buffers back. Returns how long to sleep in ms, -1 until told, 0 not at all,
 * or -2 when everything is written or there is no more time. */
static int
plan_sleep(const bool done[LOGW_STREAMS])
{
	bool waiting = false, full = false, over;
	int ms;

	pthread_mutex_lock(&writer.lock);
	for (int i = 0; i < LOGW_STREAMS; i++) {
		struct inbox *in = &writer.in[i];

		if (done[i])
			in->busy = false;
		waiting |= in->busy || in->n > 0 || in->switch_at != LOGW_NO_SWITCH;
		full |= !in->busy && in->n >= WAKE_BYTES;
	}
	over = writer.stopping && (!waiting || logw_now_ns() >= writer.stop_ns);
	ms = !waiting ? -1 : full || writer.urgent ? 0 : DELAY_MS;
	if (writer.stopping && ms != 0)
		ms = 10;
	writer.nap = ms < 0 ? NAP_IDLE : ms > 0 ? NAP_DELAY : NAP_AWAKE;
	pthread_mutex_unlock(&writer.lock);
	return over ? -2 : ms;
}

/* Sleeps until a kick, ms milliseconds, or a stalled file that takes bytes again. */
static void
nap_for(int ms, const bool done[LOGW_STREAMS])
{
	struct pollfd pfd[1 + LOGW_STREAMS] = {{.fd = writer.kick_fd, .events = POLLIN}};
	nfds_t n = 1;
	uint64_t kicks;

	for (int i = 0; i < LOGW_STREAMS; i++)
		if (!done[i] && writer.out[i].retry_ns == 0)
			pfd[n++] =
			    (struct pollfd){.fd = writer.out[i].fd, .events = POLLOUT};
	if (poll(pfd, n, ms) > 0 && (pfd[0].revents & POLLIN) != 0 &&
	    read(writer.kick_fd, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
		log_error("logs", "wake-up failed", "error=\"%s\"", strerror(errno));
}

/* The first record ends the idle sleep; the others get time to come along. */
static void
nap_idle(const bool done[LOGW_STREAMS])
{
	bool delay;

	nap_for(-1, done);
	pthread_mutex_lock(&writer.lock);
	delay = writer.nap == NAP_DELAY && !writer.urgent;
	pthread_mutex_unlock(&writer.lock);
	if (delay)
		nap_for(DELAY_MS, done);
}

static uint64_t
count_records(const char *p, size_t n)
{
	uint64_t records = 0;
	const char *nl;

	for (; n > 0 && (nl = memchr(p, '\n', n)) != NULL;
	     n -= (size_t)(nl + 1 - p), p = nl + 1)
		records++;
	return records;
}

/* Under the lock, at the end: what could not be written is lost and counted. */
static void
count_leftovers(void)
{
	for (int i = 0; i < LOGW_STREAMS; i++) {
		struct inbox *in = &writer.in[i];
		struct logw_file *o = &writer.out[i];

		if (in->busy)
			count_drop(i, count_records(o->p + o->off, o->n - o->off));
		count_drop(i, count_records(in->p, in->n));
		o->n = o->off = in->n = 0;
		if (in->switch_at != LOGW_NO_SWITCH)
			logw_file_use(o, TAKE_FD(in->next_fd));
		else if (o->switch_at != LOGW_NO_SWITCH)
			logw_file_use(o, TAKE_FD(o->next_fd));
		in->switch_at = o->switch_at = LOGW_NO_SWITCH;
		in->busy = false;
	}
}

static void *
on_thread(void *arg)
{
	bool done[LOGW_STREAMS];
	int ms;

	(void)arg;
	pthread_setname_np(pthread_self(), "shoal-log");
	for (;;) {
		take_loads();
		for (int i = 0; i < LOGW_STREAMS; i++) {
			done[i] = logw_file_drain(&writer.out[i]);
			logw_file_report_drops(&writer.out[i],
			    atomic_load_explicit(&dropped[i], memory_order_relaxed));
		}
		ms = plan_sleep(done);
		if (ms == -2)
			break;
		if (ms == -1)
			nap_idle(done);
		else if (ms > 0)
			nap_for(ms, done);
	}
	pthread_mutex_lock(&writer.lock);
	count_leftovers();
	writer.mode = MODE_DIRECT;
	writer.ended = true;
	pthread_cond_signal(&writer.ended_cond);
	pthread_mutex_unlock(&writer.lock);
	return NULL;
}

void
logw_init(int access_fd, int error_fd)
{
	const int fds[] = {[LOGW_ACCESS] = access_fd, [LOGW_ERROR] = error_fd};

	writer.mode = MODE_DIRECT;
	writer.stopping = writer.ended = writer.urgent = false;
	for (int i = 0; i < LOGW_STREAMS; i++) {
		writer.in[i] = (struct inbox){
		    .p = buffers[i][0], .switch_at = LOGW_NO_SWITCH, .next_fd = -1};
		writer.out[i] = (struct logw_file){.name = stream_names[i],
		    .fd = -1,
		    .p = buffers[i][1],
		    .switch_at = LOGW_NO_SWITCH,
		    .next_fd = -1};
		logw_file_use(&writer.out[i], fds[i]);
		atomic_store(&dropped[i], 0);
	}
}

int
logw_start(void)
{
	pthread_condattr_t attr;
	sigset_t all, before;
	int rc;

	if (writer.kick_fd < 0)
		writer.kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writer.kick_fd < 0)
		return -1;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer.ended_cond, &attr);
	pthread_condattr_destroy(&attr);
	/* The new thread gets the mask of the one that makes it: no signal is ever its own.
	 */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	writer.mode = MODE_THREAD;
	writer.nap = NAP_AWAKE;
	rc = pthread_create(&writer.thread, NULL, on_thread, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return 0;
	writer.mode = MODE_DIRECT;
	errno = rc;
	return -1;
}

static void
kick(void)
{
	uint64_t one = 1;

	/* EAGAIN: the counter is full of kicks nobody has read, so the thread is awake. */
	if (write(writer.kick_fd, &one, sizeof(one)) < 0)
		return;
}

void
logw_write(enum logw_stream stream, const char *p, size_t n)
{
	struct inbox *in = &writer.in[stream];
	bool wake = false;

	pthread_mutex_lock(&writer.lock);
	if (UNLIKELY(writer.mode != MODE_THREAD)) {
		bool direct = writer.mode == MODE_DIRECT && writer.out[stream].fd >= 0;

		if (direct && !logw_file_write_direct(&writer.out[stream], p, n))
			count_drop(stream, 1);
		pthread_mutex_unlock(&writer.lock);
		return;
	}
	if (UNLIKELY(n > LOGW_BUFFER - in->n)) {
		count_drop(stream, 1);
	} else {
		memcpy(in->p + in->n, p, n);
		in->n += n;
		if (UNLIKELY(writer.nap == NAP_IDLE)) {
			wake = true;
			writer.nap = NAP_DELAY;
		} else if (UNLIKELY(writer.nap == NAP_DELAY && in->n >= WAKE_BYTES &&
				    !in->busy)) {
			wake = true;
			writer.nap = NAP_AWAKE;
		}
	}
	pthread_mutex_unlock(&writer.lock);
	if (UNLIKELY(wake))
		kick();
}

static void
inbox_reopen(struct inbox *in, int fd)
{
	/* A second switch before the first was made: the newest file is the one that
	 * counts. */
	if (in->switch_at == LOGW_NO_SWITCH)
		in->switch_at = in->n;
	else if (in->next_fd >= 0)
		close(in->next_fd);
	in->next_fd = fd;
}

void
logw_reopen(int access_fd, int error_fd)
{
	const int fds[] = {[LOGW_ACCESS] = access_fd, [LOGW_ERROR] = error_fd};

	pthread_mutex_lock(&writer.lock);
	for (int i = 0; i < LOGW_STREAMS; i++) {
		if (writer.mode == MODE_THREAD)
			inbox_reopen(&writer.in[i], fds[i]);
		else if (writer.mode == MODE_DIRECT)
			logw_file_use(&writer.out[i], fds[i]);
		else if (fds[i] >= 0)
			close(fds[i]);
	}
	writer.urgent = true;
	if (writer.mode == MODE_THREAD)
		kick();
	pthread_mutex_unlock(&writer.lock);
}

uint64_t
logw_dropped(enum logw_stream stream)
{
	return atomic_load_explicit(&dropped[stream], memory_order_relaxed);
}

void
logw_stop(unsigned ms)
{
	struct timespec until;
	uint64_t stop_ns = logw_now_ns() + ms * 1000000ull;
	/* A moment more, for the thread to see that its time is up. */
	uint64_t join_ns = stop_ns + 200 * 1000000ull;
	bool ended;

	until.tv_sec = (time_t)(join_ns / 1000000000ull);
	until.tv_nsec = (long)(join_ns % 1000000000ull);
	pthread_mutex_lock(&writer.lock);
	if (writer.mode != MODE_THREAD) {
		pthread_mutex_unlock(&writer.lock);
		return;
	}
	writer.stopping = writer.urgent = true;
	writer.stop_ns = stop_ns;
	kick();
	while (!writer.ended)
		if (pthread_cond_timedwait(&writer.ended_cond, &writer.lock, &until) ==
		    ETIMEDOUT)
			break;
	ended = writer.ended;
	/* A write that hangs in the kernel keeps its thread, its file and its buffer. */
	if (!ended)
		writer.mode = MODE_GAVE_UP;
	pthread_mutex_unlock(&writer.lock);
	if (ended)
		pthread_join(writer.thread, NULL);
	else
		pthread_detach(writer.thread);
}
