/* Whose a request is: which address, host and agent it counts for, and that what a
 * connection remembers of its last request is never another's.
 * SPDX-License-Identifier: MIT */
#include "worker/net/conn.h"
#include "worker/net/req_io.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct net *one;
static struct seg *seg;
static struct topk_list list;

static int
on_setup(void **state)
{
	struct err e;

	(void)state;
	one = calloc(1, sizeof(*one));
	seg = calloc(1, sizeof(*seg));
	one->seg = seg;
	return top_init(one, &e);
}

static int
on_teardown(void **state)
{
	(void)state;
	free(one);
	free(seg);
	return 0;
}

static void
set_peer(struct conn *c, const char *address)
{
	const bool six = strchr(address, ':') != NULL;
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr none = {.sa_family = AF_UNIX};

	c->net = one;
	top_begin(one, &c->top);
	if (address[0] == '\0')
		addr_from_sockaddr(&c->peer, &none, sizeof(none));
	else if (six && inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
		addr_from_sockaddr(&c->peer, (struct sockaddr *)&in6, sizeof(in6));
	else if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
		addr_from_sockaddr(&c->peer, (struct sockaddr *)&in, sizeof(in));
}

/* A request as it is at its outcome. NULL: a field that was not sent. */
static void
ask(struct conn *c, const char *host, const char *agent, int status)
{
	static struct req r;
	static char base[2048];
	const size_t host_n = host ? strlen(host) : 0, agent_n = agent ? strlen(agent) : 0;

	memset(&r, 0, sizeof(r));
	memcpy(base, host ? host : "", host_n);
	memcpy(base + host_n, agent ? agent : "", agent_n);
	r.net = one;
	r.conn = c;
	r.base = base;
	r.app_started = r.finished = true;
	r.status = status;
	r.head_whole = true;
	r.counts.out[OUT_HEAD] = 30;
	r.counts.out[OUT_BODY] = 12;
	r.head.host = (struct span){0, (uint32_t)host_n};
	r.head.fields[0].id = FIELD_HOST;
	r.head.n_fields = 1;
	if (agent != NULL) {
		r.head.n_fields = 3;
		r.head.fields[2].id = FIELD_USER_AGENT;
		r.head.fields[2].value = (struct span){(uint32_t)host_n, (uint32_t)agent_n};
		r.head.seen = 1ull << FIELD_USER_AGENT;
	}
	top_count(&r);
}

static const struct topk_seen *
find(enum top_by by, const void *key, size_t n)
{
	struct topk_table table = seg_top(seg, by);

	topk_read(&table, &list);
	for (uint32_t i = 0; i < list.n; i++)
		if (list.v[i].key_n == n && memcmp(list.v[i].key, key, n) == 0)
			return &list.v[i];
	return NULL;
}

static uint64_t
requests(enum top_by by, const char *key)
{
	const struct topk_seen *seen = find(by, key, strlen(key));

	return seen == NULL ? 0 : seen->requests;
}

static void
test_clients(void **state)
{
	static const struct {
		const char *address;
		size_t n;
		const char *key;
	} cases[] = {
	    {"192.0.2.7", 4, "\xc0\x00\x02\x07"},
	    {"::ffff:192.0.2.7", 4, "\xc0\x00\x02\x07"},
	    {"2001:db8:1:2:3:4:5:6", 8, "\x20\x01\x0d\xb8\x00\x01\x00\x02"},
	    {"2001:db8:1:2::1", 8, "\x20\x01\x0d\xb8\x00\x01\x00\x02"},
	    {"2001:db8:1:3::1", 8, "\x20\x01\x0d\xb8\x00\x01\x00\x03"},
	    {"::1", 16, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"},
	    {"fe80::2", 16, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"},
	    {"", 1, "u"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct topk_seen *seen = find(TOP_CLIENT, cases[i].key, cases[i].n);
		uint64_t before = seen == NULL ? 0 : seen->requests;
		struct conn *c = calloc(1, sizeof(*c));

		set_peer(c, cases[i].address);
		ask(c, "h", NULL, 200);
		ask(c, "h", NULL, 200);
		seen = find(TOP_CLIENT, cases[i].key, cases[i].n);
		assert_non_null(seen);
		assert_int_equal(seen->requests, before + 2);
		assert_int_equal(seen->bytes, 42 * (before + 2));
		free(c);
	}
	assert_int_equal(list.n, 6);
}

static void
test_hosts(void **state)
{
	static const struct {
		const char *host, *key;
	} cases[] = {
	    {"a.test", "a.test"},
	    {"a.test:80", "a.test"},
	    {"a.test:", "a.test"},
	    {"A.Test:8080", "a.test"},
	    {"a.test2", "a.test2"},
	    {"a.tes", "a.tes"},
	    {"a", "a"},
	    {"a:1", "a"},
	    {"[::1]", "[::1]"},
	    {"[::1]:80", "[::1]"},
	    {"[2001:db8::a]", "[2001:db8::a]"},
	    {NULL, "-"},
	};
	struct conn *c = calloc(1, sizeof(*c));
	char name[200];

	(void)state;
	set_peer(c, "192.0.2.1");
	/* Each behind each, on one connection. */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
			uint64_t i_was, k_was;

			ask(c, cases[i].host, NULL, 200);
			i_was = requests(TOP_HOST, cases[i].key);
			k_was = requests(TOP_HOST, cases[k].key);
			ask(c, cases[k].host, NULL, 200);
			assert_int_equal(requests(TOP_HOST, cases[k].key), k_was + 1);
			if (strcmp(cases[i].key, cases[k].key) != 0)
				assert_int_equal(requests(TOP_HOST, cases[i].key), i_was);
		}
	memset(name, 'L', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ask(c, name, NULL, 200);
	ask(c, name, NULL, 200);
	memset(name, 'l', sizeof(name));
	name[TOP_HOST_MAX] = '\0';
	assert_int_equal(requests(TOP_HOST, name), 2);
	free(c);
}

static void
test_agents(void **state)
{
	struct conn *c = calloc(1, sizeof(*c)), *other = calloc(1, sizeof(*c));
	char name[16];

	(void)state;
	set_peer(c, "192.0.2.1");
	set_peer(other, "192.0.2.2");
	ask(c, "h", "curl/8", 200);
	ask(c, "h", NULL, 200);
	ask(c, "h", "", 200);
	ask(c, "h", "curl/8", 503);
	ask(c, "h", "curl/80", 200);
	ask(c, "h", "curl/8", 404);
	assert_int_equal(requests(TOP_AGENT, "curl/8"), 3);
	assert_int_equal(find(TOP_AGENT, "curl/8", 6)->errors, 1);
	assert_int_equal(requests(TOP_AGENT, "curl/80"), 1);
	assert_int_equal(requests(TOP_AGENT, "-"), 2);
	/* While it was silent, all entries went to others: its own begins anew. */
	for (uint32_t i = 0; i < 8 * TOPK_ENTRIES; i++) {
		snprintf(name, sizeof(name), "bot %u", i % (2 * TOPK_ENTRIES));
		ask(other, name, name, 200);
	}
	assert_null(find(TOP_AGENT, "curl/8", 6));
	ask(c, "h", "curl/8", 200);
	assert_int_equal(find(TOP_AGENT, "curl/8", 6)->bytes, 42);
	assert_int_equal(find(TOP_HOST, "h", 1)->bytes, 42);
	free(c);
	free(other);
}

static void
test_what_is_not_counted(void **state)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct req *r = calloc(1, sizeof(*r));

	(void)state;
	set_peer(c, "192.0.2.1");
	c->own = true;
	ask(c, "h", NULL, 200);
	assert_null(find(TOP_CLIENT, "\xc0\x00\x02\x01", 4));
	assert_int_equal(list.n, 0);
	c->own = false;
	r->net = one;
	r->conn = c;
	top_count(r); /* no head came */
	assert_null(find(TOP_CLIENT, "\xc0\x00\x02\x01", 4));
	r->taken_over = true; /* one that was refused */
	r->own_status = 400;
	top_count(r);
	assert_non_null(find(TOP_CLIENT, "\xc0\x00\x02\x01", 4));
	assert_null(find(TOP_HOST, "-", 1));
	free(r);
	free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_clients, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_hosts, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(test_agents, on_setup, on_teardown),
	    cmocka_unit_test_setup_teardown(
		test_what_is_not_counted, on_setup, on_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
