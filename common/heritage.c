/* What a worker inherits, as JSON in a sealed memfd: written by the master, read strictly.
 * SPDX-License-Identifier: MIT */
#include "common/heritage.h"

#include "common/conf_option.h"
#include "common/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HERITAGE_MAX (4 * 1024 * 1024)
#define LISTENERS_MAX 256

/* What is neither the configuration nor secret, once: written and read from one table. */
#define TEXT(member) FIELD_OF(struct heritage, member, FIELD_TEXT, 0, 0)
#define NUMBER(member) FIELD_OF(struct heritage, member, FIELD_UNSIGNED, 0, UINT32_MAX)
static const struct json_field members[] = {
    TEXT(python),
    TEXT(plugin),
    TEXT(libpython),
    NUMBER(role),
    NUMBER(slot),
    NUMBER(line),
    NUMBER(parked),
    NUMBER(generation),
    NUMBER(epoch),
    NUMBER(workers),
};

static const struct json_field listener_members[] = {
    FIELD_OF(struct heritage_listener, fd, FIELD_SIGNED, 0, INT32_MAX),
    FIELD_OF(struct heritage_listener, tls, FIELD_BOOL, 0, 0),
    FIELD_OF(struct heritage_listener, is_unix, FIELD_BOOL, 0, 0),
    FIELD_OF(struct heritage_listener, name, FIELD_TEXT, 0, 0),
};

static json_t *
listeners_to_json(const struct heritage *h)
{
	json_t *all = json_array();

	for (size_t i = 0; i < h->n_listeners; i++) {
		json_t *one = json_object();

		if (fields_write(one, &h->listeners[i], listener_members,
			ARRAY_LEN(listener_members)) < 0 ||
		    json_array_append(all, one) < 0) {
			json_decref(one);
			json_decref(all);
			return NULL;
		}
		json_decref(one);
	}
	return all;
}

static json_t *
key_to_json(const uint8_t *key, size_t n)
{
	char hex[2 * sizeof(((struct heritage *)0)->ticket_key) + 1];

	for (size_t i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	return json_string(hex);
}

static json_t *
heritage_to_json(const struct heritage *h)
{
	json_t *obj = json_object();
	int bad = json_object_set_new(obj, "version", json_string(SHOAL_VERSION));

	bad |= fields_write(obj, h, members, ARRAY_LEN(members));
	bad |= json_object_set_new(obj, "listeners", listeners_to_json(h));
	bad |= json_object_set_new(
	    obj, "ticket_key", key_to_json(h->ticket_key, sizeof(h->ticket_key)));
	bad |= json_object_set_new(obj, "conf", conf_to_json(&h->conf));
	if (bad == 0)
		return obj;
	json_decref(obj);
	return NULL;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno != EINTR)
			return -1;
		p += put > 0 ? put : 0;
		n -= put > 0 ? (size_t)put : 0;
	}
	return 0;
}

int
heritage_write(const struct heritage *h, struct err *e)
{
	AUTO_FD int fd = memfd_create("shoal-heritage", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	json_t *obj = heritage_to_json(h);
	AUTO_FREE char *text = obj ? json_dumps(obj, JSON_COMPACT) : NULL;

	json_decref(obj);
	if (text == NULL)
		return err_set(e, "heritage: cannot be written as JSON");
	if (fd < 0 || write_all(fd, text, strlen(text)) != 0 || lseek(fd, 0, SEEK_SET) != 0)
		return err_errno(e, "heritage: memfd");
	/* A worker that goes astray must not change what its siblings read. */
	if (fcntl(fd, F_ADD_SEALS,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		return err_errno(e, "heritage: seal");
	return TAKE_FD(fd);
}

static int
read_listeners(struct heritage *h, const json_t *obj, struct err *e)
{
	const json_t *all = json_object_get(obj, "listeners");
	size_t n = json_array_size(all);

	if (!json_is_array(all) || n > LISTENERS_MAX)
		return err_set(
		    e, "listeners: expected a list of at most %d", LISTENERS_MAX);
	h->listeners = calloc(MAX(n, 1), sizeof(*h->listeners));
	if (h->listeners == NULL)
		return err_set(e, "out of memory");
	h->n_listeners = n;
	for (size_t i = 0; i < n; i++)
		if (fields_read(json_array_get(all, i), &h->listeners[i], listener_members,
			ARRAY_LEN(listener_members), e) != 0)
			return err_wrap(e, "listeners");
	return 0;
}

static int
read_key(struct heritage *h, const json_t *obj, struct err *e)
{
	const char *hex = json_string_value(json_object_get(obj, "ticket_key"));

	if (hex == NULL || strlen(hex) != 2 * sizeof(h->ticket_key) ||
	    strspn(hex, "0123456789abcdef") != strlen(hex))
		return err_set(e, "ticket_key: expected %zu hexadecimal digits",
		    2 * sizeof(h->ticket_key));
	for (size_t i = 0; i < sizeof(h->ticket_key); i++) {
		char byte[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

		h->ticket_key[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return 0;
}

static int
read_object(struct heritage *h, const json_t *obj, struct err *e)
{
	const char *version = json_string_value(json_object_get(obj, "version"));
	const json_t *conf = json_object_get(obj, "conf");

	if (version == NULL || strcmp(version, SHOAL_VERSION) != 0)
		return err_set(e,
		    "written by version %.32s, read by " SHOAL_VERSION
		    ": shoal and shoal-worker must be installed together",
		    version ? version : "unknown");
	if (fields_read(obj, h, members, ARRAY_LEN(members), e) != 0)
		return -1;
	if (read_listeners(h, obj, e) != 0 || read_key(h, obj, e) != 0)
		return -1;
	/* One more or less is another build's table. */
	if (json_object_size(conf) != CONF_JSON_MEMBERS)
		return err_set(e, "conf: expected %d options, found %zu", CONF_JSON_MEMBERS,
		    json_object_size(conf));
	return conf_from_json(&h->conf, conf, e);
}

/* The whole memfd, without moving its offset: it may be shared. */
static char *
read_all(int fd, size_t *n, struct err *e)
{
	AUTO_FREE char *buf = NULL;
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) != 0) {
		err_errno(e, "descriptor %d", fd);
		return NULL;
	}
	if (st.st_size <= 0 || st.st_size > HERITAGE_MAX) {
		err_set(e, "descriptor %d: expected 1 to %d bytes", fd, HERITAGE_MAX);
		return NULL;
	}
	buf = malloc((size_t)st.st_size);
	for (*n = 0; buf != NULL && *n < (size_t)st.st_size; *n += (size_t)got) {
		got = pread(fd, buf + *n, (size_t)st.st_size - *n, (off_t)*n);
		if (got <= 0) {
			err_errno(e, "descriptor %d", fd);
			return NULL;
		}
	}
	if (buf == NULL)
		err_set(e, "out of memory");
	return TAKE_PTR(buf);
}

int
heritage_read(struct heritage *h, int fd, struct err *e)
{
	AUTO_FREE char *text = NULL;
	json_error_t bad;
	json_t *obj;
	size_t n;
	int rc;

	memset(h, 0, sizeof(*h));
	conf_init(&h->conf);
	text = read_all(fd, &n, e);
	if (text == NULL)
		return err_wrap(e, "heritage");
	obj = json_loadb(text, n, JSON_REJECT_DUPLICATES, &bad);
	if (obj == NULL)
		return err_set(e, "heritage: %s", bad.text);
	rc = read_object(h, obj, e);
	json_decref(obj);
	return rc == 0 ? 0 : err_wrap(e, "heritage");
}

/* In the background there is nowhere else. `-` names a standard stream: nothing to move. */
bool
heritage_captures_output(const struct conf *c)
{
	return c->daemon || (c->capture_output && strcmp(c->error_logfile, "-") != 0);
}

void
heritage_finish(struct heritage *h)
{
	if (h == NULL)
		return;
	conf_finish(&h->conf);
	free(h->listeners);
	explicit_bzero(h->ticket_key, sizeof(h->ticket_key));
	h->listeners = NULL;
	h->n_listeners = 0;
}
