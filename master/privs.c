/* The user and group that workers run as: looked up by the master, taken on by the child.
 * SPDX-License-Identifier: MIT */
#include "master/privs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

/* A number, or -1 when the text is none. */
static int64_t
parse_id(const char *text)
{
	char *end;
	long long v;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	v = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 && v < UINT32_MAX ? v : -1;
}

static int
resolve_user(struct privs *p, const char *text, struct err *e)
{
	int64_t id = parse_id(text);
	const struct passwd *pw = id >= 0 ? getpwuid((uid_t)id) : getpwnam(text);

	if (pw == NULL && id < 0)
		return err_set(e, "--user %s: there is no such user", text);
	p->uid = pw ? pw->pw_uid : (uid_t)id;
	if (pw != NULL)
		p->gid = pw->pw_gid;
	snprintf(p->name, sizeof(p->name), "%s", pw ? pw->pw_name : text);
	return 0;
}

static int
resolve_group(struct privs *p, const char *text, struct err *e)
{
	int64_t id = parse_id(text);
	const struct group *gr = id >= 0 ? NULL : getgrnam(text);

	if (gr == NULL && id < 0)
		return err_set(e, "--group %s: there is no such group", text);
	p->gid = gr ? gr->gr_gid : (gid_t)id;
	return 0;
}

static int
resolve_groups(struct privs *p, bool initgroups, struct err *e)
{
	p->n_groups = 1;
	p->groups[0] = p->gid;
	if (!initgroups)
		return 0;
	p->n_groups = PRIVS_GROUPS_MAX;
	if (getgrouplist(p->name, p->gid, p->groups, &p->n_groups) < 0)
		return err_set(e, "--initgroups: %s is in more than %d groups", p->name,
		    PRIVS_GROUPS_MAX);
	return 0;
}

int
privs_resolve(struct privs *p, const struct conf *c, struct err *e)
{
	memset(p, 0, sizeof(*p));
	p->uid = geteuid();
	p->gid = getegid();
	if (c->user != NULL && resolve_user(p, c->user, e) < 0)
		return -1;
	if (c->group != NULL && resolve_group(p, c->group, e) < 0)
		return -1;
	if (c->user == NULL && c->group == NULL)
		return 0;
	if (geteuid() != 0 && (p->uid != geteuid() || p->gid != getegid()))
		return err_set(e,
		    "--user and --group: only root can run workers as somebody "
		    "else; start shoal as root, or without them");
	/* Nothing to change, and no right to call setgroups. */
	if (geteuid() != 0)
		return 0;
	p->drop = true;
	return resolve_groups(p, c->initgroups && c->user != NULL, e);
}

static int
verify(const struct privs *p, struct err *e)
{
	uid_t r, f, s;
	gid_t gr, gf, gs;

	if (getresuid(&r, &f, &s) < 0 || getresgid(&gr, &gf, &gs) < 0)
		return err_errno(e, "getresuid");
	if (r != p->uid || f != p->uid || s != p->uid || gr != p->gid || gf != p->gid ||
	    gs != p->gid || getgroups(0, NULL) != p->n_groups)
		return err_set(e, "the kernel did not take the new user and group");
	if (p->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		return err_set(e, "root could be regained");
	return 0;
}

int
privs_apply(const struct privs *p, struct err *e)
{
	if (!p->drop)
		return 0;
	if (setgroups((size_t)p->n_groups, p->groups) < 0)
		return err_errno(e, "setgroups");
	if (setresgid(p->gid, p->gid, p->gid) < 0)
		return err_errno(e, "setresgid %u", p->gid);
	if (setresuid(p->uid, p->uid, p->uid) < 0)
		return err_errno(e, "setresuid %u", p->uid);
	return verify(p, e);
}
