/* What a worker inherits, as JSON in a sealed memfd: written by the master, read strictly.
 * SPDX-License-Identifier: MIT */
#include "common/heritage.h"

#include "common/conf_option.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HERITAGE_MAX (4 * 1024 * 1024)
#define LISTENERS_MAX 256

/* The texts and numbers, once: written and read from the same table. */
static const struct {
	const char *key;
	size_t offset, size;
} texts[] = {
    {"python", offsetof(struct heritage, python), sizeof(((struct heritage *)0)->python)},
    {"plugin", offsetof(struct heritage, plugin), sizeof(((struct heritage *)0)->plugin)},
    {"libpython", offsetof(struct heritage, libpython),
	sizeof(((struct heritage *)0)->libpython)},
};

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
    {"role", offsetof(struct heritage, role)},
    {"slot", offsetof(struct heritage, slot)},
    {"line", offsetof(struct heritage, line)},
    {"parked", offsetof(struct heritage, parked)},
    {"generation", offsetof(struct heritage, generation)},
    {"epoch", offsetof(struct heritage, epoch)},
    {"workers", offsetof(struct heritage, workers)},
};

static json_t *
listeners_to_json(const struct heritage *h)
{
	json_t *all = json_array();

	for (size_t i = 0; i < h->n_listeners; i++) {
		const struct heritage_listener *l = &h->listeners[i];

		if (json_array_append_new(
			all, json_pack("{s:i, s:b, s:b, s:s}", "fd", l->fd, "tls", l->tls,
				 "unix", l->is_unix, "name", l->name)) != 0) {
			json_decref(all);
			return NULL;
		}
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

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		bad |= json_object_set_new(
		    obj, texts[i].key, json_string((const char *)h + texts[i].offset));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		bad |= json_object_set_new(obj, numbers[i].key,
		    json_integer(*(const unsigned *)((const char *)h + numbers[i].offset)));
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
read_text(const json_t *obj, const char *key, char *buf, size_t max, struct err *e)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_string(v) || json_string_length(v) >= max)
		return err_set(e, "%s: expected a string of less than %zu bytes", key, max);
	memcpy(buf, json_string_value(v), json_string_length(v) + 1);
	return 0;
}

static int
read_number(
    const json_t *obj, const char *key, json_int_t max, unsigned *out, struct err *e)
{
	const json_t *v = json_object_get(obj, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
		return err_set(
		    e, "%s: expected a number from 0 to %lld", key, (long long)max);
	*out = (unsigned)json_integer_value(v);
	return 0;
}

static int
read_listener(struct heritage_listener *l, const json_t *obj, struct err *e)
{
	const json_t *tls = json_object_get(obj, "tls"),
		     *is_unix = json_object_get(obj, "unix");
	unsigned fd;

	if (read_number(obj, "fd", INT32_MAX, &fd, e) != 0)
		return -1;
	if (!json_is_boolean(tls) || !json_is_boolean(is_unix))
		return err_set(e, "tls, unix: expected true or false");
	l->fd = (int)fd;
	l->tls = json_is_true(tls);
	l->is_unix = json_is_true(is_unix);
	return read_text(obj, "name", l->name, sizeof(l->name), e);
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
		if (read_listener(&h->listeners[i], json_array_get(all, i), e) != 0)
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
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (read_text(obj, texts[i].key, (char *)h + texts[i].offset, texts[i].size,
			e) != 0)
			return -1;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (read_number(obj, numbers[i].key, UINT32_MAX,
			(unsigned *)((char *)h + numbers[i].offset), e) != 0)
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
