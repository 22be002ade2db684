/* Who may do what: the peer's identity from the kernel, its role from the configuration.
 * SPDX-License-Identifier: MIT */
#include "master/ctl/server.h"

#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

static int
resolve(struct ctl_role_rule *rule, const char *name, struct err *e)
{
	char *end;
	unsigned long id = strtoul(name, &end, 10);

	if (isdigit((unsigned char)*name) && *end == '\0') {
		rule->id = (unsigned)id;
		return 0;
	}
	if (rule->group) {
		const struct group *g = getgrnam(name);

		if (g == NULL)
			return err_set(e, "there is no group %s", name);
		rule->id = g->gr_gid;
	} else {
		const struct passwd *u = getpwnam(name);

		if (u == NULL)
			return err_set(e, "there is no user %s", name);
		rule->id = u->pw_uid;
	}
	return 0;
}

#define RULE_FORM                                                                          \
	"expected user:NAME=ROLE or group:NAME=ROLE, perhaps with :ACCOUNT,ACCOUNT "       \
	"behind it"

/* A name may have `=` in it, but no `:`. */
static int
parse_rule(struct ctl_role_rule *rule, const char *text, struct err *e)
{
	const char *name = strchr(text, ':'), *end, *equals;
	char who[256], role[16];

	rule->group = strncmp(text, "group:", 6) == 0;
	if (name == NULL || (!rule->group && strncmp(text, "user:", 5) != 0))
		return err_set(e, RULE_FORM);
	name++;
	end = name + strcspn(name, ":");
	equals = memrchr(name, '=', (size_t)(end - name));
	if (equals == NULL || (size_t)(equals - name) >= sizeof(who))
		return err_set(e, RULE_FORM);
	memcpy(who, name, (size_t)(equals - name));
	who[equals - name] = '\0';
	snprintf(role, sizeof(role), "%.*s", (int)(end - equals - 1), equals + 1);
	rule->accounts = *end == ':' ? end + 1 : NULL;
	rule->role = ctl_role_parse(role);
	if (rule->role == CTL_NOBODY)
		return err_set(e, "a role is observer, operator or admin");
	return resolve(rule, who, e);
}

int
ctl_roles_parse(struct ctl_roles *r, const struct strlist *rules, struct err *e)
{
	r->n = 0;
	if (rules->n > CTL_ROLES_MAX)
		return err_set(e, "--control-role: %d rules are the most", CTL_ROLES_MAX);
	for (size_t i = 0; i < rules->n; i++)
		if (parse_rule(&r->v[r->n++], rules->v[i], e) < 0)
			return err_wrap(e, "--control-role %s", rules->v[i]);
	return 0;
}

static bool
rule_fits(const struct ctl_role_rule *rule, const struct ctl_peer *peer)
{
	if (!rule->group)
		return peer->uid == rule->id;
	if (peer->gid == rule->id)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == rule->id)
			return true;
	return false;
}

static bool
is_ours(const struct ctl_peer *peer)
{
	return peer->uid == 0 || peer->uid == geteuid();
}

static const struct ctl_role_rule *
find_rule(const struct ctl_roles *r, const struct ctl_peer *peer)
{
	for (size_t i = 0; i < r->n; i++)
		if (rule_fits(&r->v[i], peer))
			return &r->v[i];
	return NULL;
}

enum ctl_role
ctl_roles_of(const struct ctl_roles *r, const struct ctl_peer *peer)
{
	const struct ctl_role_rule *rule = find_rule(r, peer);

	if (is_ours(peer))
		return CTL_ADMIN;
	if (rule != NULL)
		return rule->role;
	/* Without rules the file's mode decides who may look; with rules, they do. */
	return r->n == 0 ? CTL_OBSERVER : CTL_NOBODY;
}

const char *
ctl_roles_accounts(const struct ctl_roles *r, const struct ctl_peer *peer)
{
	const struct ctl_role_rule *rule = is_ours(peer) ? NULL : find_rule(r, peer);

	return rule ? rule->accounts : NULL;
}

bool
ctl_roles_show(const char *accounts, const char *name, size_t n)
{
	if (accounts == NULL)
		return true;
	for (size_t one; *accounts != '\0'; accounts += one + (accounts[one] == ',')) {
		one = strcspn(accounts, ",");
		if (one == n && memcmp(accounts, name, n) == 0)
			return true;
	}
	return false;
}

static void
read_comm(struct ctl_peer *peer)
{
	char path[64];
	ssize_t n = -1;
	AUTO_FD int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		n = read(fd, peer->comm, sizeof(peer->comm) - 1);
	peer->comm[MAX(n, 0)] = '\0';
	peer->comm[strcspn(peer->comm, "\n")] = '\0';
	for (char *p = peer->comm; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int
ctl_peer_read(int fd, struct ctl_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	memset(peer, 0, sizeof(*peer));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -1;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	peer->pid = cred.pid;
	len = sizeof(peer->groups);
	/* More groups than fit: none counts, which can only deny. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len) == 0)
		peer->n_groups = len / sizeof(peer->groups[0]);
	read_comm(peer);
	return 0;
}
