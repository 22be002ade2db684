/* Finds segments, maps them, and retires them. SPDX-License-Identifier: MIT */
#include "master/ledger/segments.h"

#include "common/log.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define PREFIX "seg-"

/* The id from the file's name, which its writer cannot change: 32 hex digits at the end,
 * hyphens among them do not count. */
static bool
parse_name(const char *name, uint8_t id[SEGMENT_ID_LEN])
{
	size_t n = strlen(name), digits = 0;
	char hex[2 * SEGMENT_ID_LEN];

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || n >= SEGMENT_NAME_MAX)
		return false;
	while (n > strlen(PREFIX) && digits < sizeof(hex)) {
		char c = name[--n];

		if (c == '-')
			continue;
		if (!isxdigit((unsigned char)c))
			return false;
		hex[sizeof(hex) - ++digits] = c;
	}
	if (digits < sizeof(hex))
		return false;
	for (size_t i = 0; i < SEGMENT_ID_LEN; i++) {
		char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		id[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

static void
destroy(struct segment *s)
{
	acct_close(&s->acct);
	if (s->fd >= 0)
		close(s->fd);
	free(s->rows);
	free(s);
}

static void
take_mark(void *ctx, uint32_t row, uint32_t epoch, const uint64_t value[ACCT_COLUMNS])
{
	struct segment *s = ctx;
	struct segment_row *r;

	if (row >= s->acct.rows)
		return;
	r = &s->rows[row];
	if (r->known && r->epoch > epoch)
		return;
	r->known = true;
	r->epoch = epoch;
	memcpy(r->seen, value, sizeof(r->seen));
}

/* The store began anew, and did not see it; or nobody did. Also a row the last ledger was
 * writing when it ended: at most one flush of it counts twice. */
static void
take_applied(struct segment *s)
{
	for (uint32_t i = 0; i < acct_used(&s->acct); i++) {
		struct segment_row *r = &s->rows[i];
		struct acct_view v;

		(void)acct_applied_get(&s->acct, i, &v);
		r->known = r->dirty = true;
		r->epoch = v.epoch;
		memcpy(r->seen, v.value, sizeof(r->seen));
	}
}

static int
read_marks(struct segment *s, struct store *store, struct err *e)
{
	if (store_read_marks(store, s->id, &s->noted, take_mark, s, e) < 0)
		return -1;
	if (!s->noted)
		take_applied(s);
	return 0;
}

/* 1: added; 0: not to be had, and looked at again. fd is the caller's. */
static int
add(struct segments *sg, const char *name, int fd, struct store *store, struct err *e)
{
	struct segment **grown;
	struct segment *s;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, "out of memory");
	s->fd = -1;
	/* Half made (the magic is written last), or not what it seems. */
	if (!parse_name(name, s->id) || acct_open(&s->acct, fd, ACCT_APPLY, e) < 0) {
		log_debug("ledger", "segment not readable", "name=%s", name);
		free(s);
		return 0;
	}
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->rows = calloc(s->acct.rows, sizeof(*s->rows));
	grown = reallocarray(sg->v, sg->n + 1, sizeof(struct segment *));
	if (grown != NULL)
		sg->v = grown;
	if (s->rows == NULL || grown == NULL) {
		destroy(s);
		return err_set(e, "out of memory");
	}
	if (read_marks(s, store, e) < 0) {
		destroy(s);
		return -1;
	}
	sg->v[sg->n++] = s;
	s->present = sg->news = true;
	return 1;
}

static int
add_file(struct segments *sg, const char *name, struct store *store, struct err *e)
{
	AUTO_FD int fd = openat(sg->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? 0 : MIN(add(sg, name, fd, store, e), 0);
}

static struct segment *
find(const struct segments *sg, const char *name)
{
	for (size_t i = 0; i < sg->n; i++)
		if (strcmp(sg->v[i]->name, name) == 0)
			return sg->v[i];
	return NULL;
}

/* ---- Those that are in no directory ---- */

int
segments_hand(struct segments *sg, const char *name, int fd, struct err *e)
{
	AUTO_FD int own = fd;
	uint8_t id[SEGMENT_ID_LEN];
	struct segment_handed *grown;

	if (!parse_name(name, id))
		return err_set(e, "\"%.80s\" is no segment's name", name);
	sg->awaited -= sg->awaited > 0;
	if (find(sg, name) != NULL)
		return 0;
	grown = reallocarray(sg->handed, sg->n_handed + 1, sizeof(*grown));
	if (grown == NULL)
		return err_set(e, "out of memory");
	sg->handed = grown;
	snprintf(grown[sg->n_handed].name, sizeof(grown->name), "%s", name);
	grown[sg->n_handed++].fd = TAKE_FD(own);
	return 0;
}

static int
add_handed(struct segments *sg, struct store *store, struct err *e)
{
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; i < sg->n_handed; i++) {
		struct segment_handed *h = &sg->handed[i];
		int got = rc < 0 ? 0 : add(sg, h->name, h->fd, store, e);

		if (got == 1)
			sg->v[sg->n - 1]->fd = h->fd;
		else
			sg->handed[kept++] = *h;
		rc = MIN(got, rc);
	}
	sg->n_handed = kept;
	return MIN(rc, 0);
}

size_t
segments_in_memory(const struct segments *sg)
{
	size_t n = sg->n_handed;

	for (size_t i = 0; i < sg->n; i++)
		n += sg->v[i]->fd >= 0;
	return n;
}

/* ---- All of them ---- */

static int
scan_dir(struct segments *sg, struct store *store, struct err *e)
{
	int fd = openat(sg->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int rc = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_errno(e, "%s", sg->dir);
	}
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		struct segment *known;
		uint8_t id[SEGMENT_ID_LEN];

		if (!parse_name(d->d_name, id))
			continue;
		known = find(sg, d->d_name);
		if (known != NULL)
			known->present = true;
		else if (sg->n < SEGMENTS_MAX)
			rc = add_file(sg, d->d_name, store, e);
	}
	closedir(dir);
	return rc;
}

int
segments_scan(struct segments *sg, struct store *store, struct err *e)
{
	for (size_t i = 0; i < sg->n; i++)
		sg->v[i]->present = sg->v[i]->fd >= 0;
	if (sg->dir_fd >= 0 && scan_dir(sg, store, e) < 0)
		return -1;
	return add_handed(sg, store, e);
}

/* ---- The end of a segment ---- */

static bool
is_settled(const struct segment *s)
{
	for (uint32_t i = 0; i < s->acct.rows; i++)
		if (s->rows[i].dirty || s->rows[i].last != 0)
			return false;
	return true;
}

static void
let_go(const struct segments *sg, const struct segment *s)
{
	if (s->fd >= 0) {
		if (sg->ops.on_finished != NULL)
			sg->ops.on_finished(sg->ops.ctx, s);
		return;
	}
	if (unlinkat(sg->dir_fd, s->name, 0) < 0 && errno != ENOENT)
		log_warn("ledger", "segment cannot be removed", "name=%s reason=\"%s\"",
		    s->name, strerror(errno));
}

struct sweep {
	const struct segments *sg;
	uint8_t (*gone)[SEGMENT_ID_LEN]; /* owned */
	size_t n, cap;
	bool failed;
};

/* What has no file here belongs to a closed segment, or to another boot. */
static void
on_known(void *ctx, const uint8_t seg[SEGMENT_ID_LEN], bool same_boot, bool closed)
{
	struct sweep *w = ctx;

	if (same_boot && !closed)
		return;
	for (size_t i = 0; i < w->sg->n; i++)
		if (memcmp(w->sg->v[i]->id, seg, SEGMENT_ID_LEN) == 0)
			return;
	if (w->n == w->cap) {
		void *grown = reallocarray(w->gone, w->cap * 2 + 16, sizeof(w->gone[0]));

		if (grown == NULL) {
			w->failed = true;
			return;
		}
		w->gone = grown;
		w->cap = w->cap * 2 + 16;
	}
	memcpy(w->gone[w->n++], seg, SEGMENT_ID_LEN);
}

static int
forget_gone(const struct segments *sg, struct store *store, struct err *e)
{
	struct sweep w = {.sg = sg};
	int rc = store_each_segment(store, sg->boot, on_known, &w, e);

	if (rc == 0 && w.n > 0) {
		rc = store_begin(store, e);
		for (size_t i = 0; rc == 0 && i < w.n; i++)
			rc = store_forget_segment(store, w.gone[i], e);
		if (rc == 0)
			rc = store_commit(store, e);
		if (rc < 0)
			store_rollback(store);
	}
	free(w.gone);
	return rc;
}

int
segments_retire(struct segments *sg, struct store *store, struct err *e)
{
	size_t kept = 0;

	for (size_t i = 0; i < sg->n; i++) {
		struct segment *s = sg->v[i];

		if ((s->closed && s->noted && is_settled(s)) || !s->present) {
			if (s->present)
				let_go(sg, s);
			destroy(s);
		} else {
			sg->v[kept++] = s;
		}
	}
	sg->swept = sg->swept && kept == sg->n;
	sg->n = kept;
	/* What the master is about to hand over is not gone. */
	if (sg->swept || sg->awaited > 0 || sg->n_handed > 0)
		return 0;
	if (forget_gone(sg, store, e) < 0)
		return -1;
	sg->swept = true;
	return 0;
}

int
segments_open(struct segments *sg, const char *dir, struct err *e)
{
	AUTO_FD int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(sg, 0, sizeof(*sg));
	snprintf(sg->dir, sizeof(sg->dir), "%s", dir);
	/* Where /proc shows processes only, all boots are taken for one: what they left in
	 * the watermark stays there. */
	if (fd < 0 || read(fd, sg->boot, sizeof(sg->boot) - 1) <= 0)
		strcpy(sg->boot, "unknown");
	sg->boot[strcspn(sg->boot, "\n")] = '\0';
	sg->dir_fd = -1;
	if (dir[0] == '\0')
		return 0;
	sg->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return sg->dir_fd < 0 ? err_errno(e, "%s", dir) : 0;
}

void
segments_close(struct segments *sg)
{
	for (size_t i = 0; i < sg->n; i++)
		destroy(sg->v[i]);
	for (size_t i = 0; i < sg->n_handed; i++)
		close(sg->handed[i].fd);
	free(sg->v);
	free(sg->handed);
	free(sg->pending);
	if (sg->dir_fd >= 0)
		close(sg->dir_fd);
	memset(sg, 0, sizeof(*sg));
	sg->dir_fd = -1;
}
