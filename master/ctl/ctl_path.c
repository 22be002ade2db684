/* The socket file of the control server: never without a lock, never with a wider mode than
 * it shall have, never in the place of a living one. SPDX-License-Identifier: MIT */
#include "master/ctl/ctl_path.h"

#include "common/file_name.h"
#include "master/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define BACKLOG 1024
#define LOCK_ATTEMPTS 10 /* an ending instance may remove the file under our hands */

static int
split(struct ctl_path *p, struct err *e)
{
	char dir[CTL_PATH_MAX];
	char *slash;

	strcpy(dir, p->path);
	slash = strrchr(dir, '/');
	strcpy(p->base, slash + 1);
	if (p->base[0] == '\0')
		return err_set(e, "it is the name of a directory");
	slash[slash == dir ? 1 : 0] = '\0';
	p->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dir_fd < 0 ? err_errno(e, "directory %s", dir) : 0;
}

static bool
is_same_file(int fd, int dir_fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && fstatat(dir_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static void
lock_name(const struct ctl_path *p, char *to, size_t max)
{
	snprintf(to, max, "%s.lock", p->base);
}

static int
take_lock(struct ctl_path *p, struct err *e)
{
	char name[CTL_PATH_MAX + 8];

	lock_name(p, name, sizeof(name));
	for (int i = 0; i < LOCK_ATTEMPTS; i++) {
		AUTO_FD int fd = openat(
		    p->dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

		if (fd < 0)
			return err_errno(e, "cannot create %s.lock", p->path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			return errno == EWOULDBLOCK
				   ? err_set(e,
					 "another instance holds it; stop that one, or "
					 "give this one another --name or --control-socket")
				   : err_errno(e, "cannot lock %s.lock", p->path);
		if (is_same_file(fd, p->dir_fd, name)) {
			p->lock_fd = TAKE_FD(fd);
			return 0;
		}
	}
	return err_set(e, "%s.lock keeps changing", p->path);
}

/* Our lock is held: whatever is in the way is stale, or no socket of ours. */
static int
check_old(const struct ctl_path *p, struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat st;
	AUTO_FD int fd = -1;

	if (fstatat(p->dir_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "stat");
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, "a file that is no socket is in the way; remove it, or "
				  "choose another path");
	strcpy(un.sun_path, p->path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0 || errno == EAGAIN)
		return err_set(e, "another server listens there (`ss -lxp` shows which); "
				  "stop it, or choose another path");
	return 0;
}

/* Under a passing name, then renamed: it is complete from its first moment, also over a
 * stale one. The detour by /proc keeps the passing name below the limit of sun_path. */
static int
bind_socket(struct ctl_path *p, mode_t mode, struct err *e)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct stat st;
	char tmp[CTL_PATH_MAX + 8];
	mode_t before;
	int rc;
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, "socket");
	/* The name it is bound under is the one `ss -lx` shows for ever. */
	snprintf(tmp, sizeof(tmp), "%s.new", p->base);
	if (strlen(p->path) + strlen(".new") < sizeof(un.sun_path)) {
		strcpy(un.sun_path, p->path);
		strcat(un.sun_path, ".new");
	} else {
		snprintf(tmp, sizeof(tmp), ".shoal-%d", (int)getpid());
		snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/.shoal-%d",
		    p->dir_fd, (int)getpid());
	}
	unlinkat(p->dir_fd, tmp, 0);
	before = umask(0177);
	rc = bind(fd, (struct sockaddr *)&un, sizeof(un));
	umask(before);
	if (rc < 0)
		return err_errno(e, "cannot create a socket in its directory");
	if (fchmodat(p->dir_fd, tmp, mode, 0) < 0 || listen(fd, BACKLOG) < 0 ||
	    fstatat(p->dir_fd, tmp, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    renameat(p->dir_fd, tmp, p->dir_fd, p->base) < 0) {
		err_errno(e, "cannot put the socket in place");
		unlinkat(p->dir_fd, tmp, 0);
		return -1;
	}
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	p->fd = TAKE_FD(fd);
	return 0;
}

static void
drop_lock(struct ctl_path *p)
{
	char name[CTL_PATH_MAX + 8];

	if (p->lock_fd < 0)
		return;
	lock_name(p, name, sizeof(name));
	if (is_same_file(p->lock_fd, p->dir_fd, name))
		unlinkat(p->dir_fd, name, 0);
	close(p->lock_fd);
	p->lock_fd = -1;
}

static int
open_at(struct ctl_path *p, const char *path, mode_t mode, struct err *e)
{
	*p = (struct ctl_path){.fd = -1, .lock_fd = -1, .dir_fd = -1};
	if (strlen(path) >= sizeof(p->path))
		return err_set(e,
		    "control socket %s: the path has %zu bytes, %zu is the "
		    "most a unix socket can have; choose a shorter one",
		    path, strlen(path), sizeof(p->path) - 1);
	strcpy(p->path, path);
	if (split(p, e) < 0 || take_lock(p, e) < 0 || check_old(p, e) < 0 ||
	    bind_socket(p, mode, e) < 0) {
		drop_lock(p);
		if (p->dir_fd >= 0)
			close(p->dir_fd);
		p->dir_fd = -1;
		return err_wrap(e, "control socket %s", path);
	}
	return 0;
}

void
ctl_path_close(struct ctl_path *p)
{
	struct stat st;

	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	if (fstatat(p->dir_fd, p->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_dev == p->dev && st.st_ino == p->ino)
		unlinkat(p->dir_fd, p->base, 0);
	drop_lock(p);
	close(p->dir_fd);
	p->dir_fd = -1;
}

/* A directory nobody else can put files into; made when it is missing. */
static int
own_dir(const char *dir, mode_t mode, struct err *e)
{
	struct stat st;

	if (mkdir(dir, mode) < 0 && errno != EEXIST)
		return err_errno(e, "cannot create %s", dir);
	if (lstat(dir, &st) < 0)
		return err_errno(e, "cannot look at %s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
		return err_set(e, "%s is not a directory of this user alone", dir);
	return 0;
}

static int
try_runtime(struct ctl_path *p, const char *name, mode_t mode, struct err *e)
{
	const char *dir = getenv("RUNTIME_DIRECTORY");
	char path[4096];

	(void)name;
	if (dir == NULL || *dir != '/')
		return err_set(e, "RUNTIME_DIRECTORY is not set");
	snprintf(path, sizeof(path), "%.*s/shoal.sock", (int)strcspn(dir, ":"), dir);
	return open_at(p, path, mode, e);
}

static int
try_run(struct ctl_path *p, const char *name, mode_t mode, struct err *e)
{
	char path[4096];

	if (own_dir("/run/shoal", 0755, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "/run/shoal/%s.sock", name);
	return open_at(p, path, mode, e);
}

static int
try_xdg(struct ctl_path *p, const char *name, mode_t mode, struct err *e)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char path[4096];

	if (base == NULL || *base != '/')
		return err_set(e, "XDG_RUNTIME_DIR is not set");
	snprintf(path, sizeof(path), "%.1000s/shoal", base);
	if (own_dir(path, 0700, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "%.1000s/shoal/%s.sock", base, name);
	return open_at(p, path, mode, e);
}

static int
try_tmp(struct ctl_path *p, const char *name, mode_t mode, struct err *e)
{
	const char *tmp = getenv("TMPDIR");
	char dir[2048], path[4096];

	snprintf(dir, sizeof(dir), "%.1000s/shoal-%u", tmp && *tmp == '/' ? tmp : "/tmp",
	    (unsigned)geteuid());
	if (own_dir(dir, 0700, e) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s.sock", dir, name);
	return open_at(p, path, mode, e);
}

typedef int place_fn(struct ctl_path *p, const char *name, mode_t mode, struct err *e);

static place_fn *const places[] = {try_runtime, try_run, try_xdg, try_tmp};

static int
open_asked(struct ctl_path *p, const char *path, mode_t mode, struct err *e)
{
	char full[8192], cwd[4096];

	if (*path == '/')
		return open_at(p, path, mode, e);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return err_errno(e, "control socket %s: no current directory", path);
	snprintf(full, sizeof(full), "%s/%s", cwd, path);
	return open_at(p, full, mode, e);
}

int
ctl_path_open(
    struct ctl_path *p, const char *path, const char *instance, mode_t mode, struct err *e)
{
	char name[64];

	*p = (struct ctl_path){.fd = -1, .lock_fd = -1, .dir_fd = -1};
	if (path != NULL)
		return open_asked(p, path, mode, e);
	file_name_make(instance, name, sizeof(name));
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (places[i](p, name, mode, e) == 0)
			return 0;
	return 1;
}

#define FD(member) FIELD_OF(struct ctl_path, member, FIELD_SIGNED, 0, INT32_MAX)
#define TEXT(member) FIELD_OF(struct ctl_path, member, FIELD_TEXT, 0, 0)
#define NATURAL(member) FIELD_OF(struct ctl_path, member, FIELD_UNSIGNED, 0, INT64_MAX)

const struct json_field ctl_path_fields[CTL_PATH_FIELDS] = {
    FD(fd),
    FD(lock_fd),
    FD(dir_fd),
    TEXT(path),
    TEXT(base),
    NATURAL(dev),
    NATURAL(ino),
};

int
ctl_path_adopt(struct ctl_path *p, const json_t *from, struct err *e)
{
	if (fields_read(from, p, ctl_path_fields, CTL_PATH_FIELDS, e) == 0 &&
	    adopt_fd(p->fd, S_IFSOCK, "control socket", e) == 0 &&
	    adopt_fd(p->lock_fd, S_IFREG, "lock of the control socket", e) == 0 &&
	    adopt_fd(p->dir_fd, S_IFDIR, "directory of the control socket", e) == 0)
		return 0;
	*p = (struct ctl_path){.fd = -1, .lock_fd = -1, .dir_fd = -1};
	return -1;
}
