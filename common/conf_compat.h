/* What users of gunicorn and Spawning write and is no option of its own: other names,
 * things accepted without effect, and things refused with a sentence.
 * SPDX-License-Identifier: MIT */
#pragma once

#include "common/conf.h"

enum compat_kind {
	COMPAT_ALIAS,  /* another name of an option */
	COMPAT_IGNORE, /* accepted; the sentence is logged once */
	COMPAT_REFUSE, /* exit 2 with the sentence */
	COMPAT_SILENT, /* accepted: what it asks for is so anyway */
	COMPAT_HOOK,   /* a function in a gunicorn.conf.py; never an option */
};

struct compat {
	const char *name;    /* long name; a gunicorn.conf.py writes `_` for `-` */
	const char *setting; /* gunicorn's name in a file where it differs, or NULL */
	enum compat_kind kind;
	bool takes_value;
	bool called;          /* HOOK: by the workers */
	enum conf_id id;      /* ALIAS */
	const char *only;     /* IGNORE: the values that are accepted; NULL: any */
	const char *unit;     /* ALIAS: what a plain number is counted in; NULL: as usual */
	const char *sentence; /* IGNORE, REFUSE: follows "--name: "; ALIAS with a unit */
};

/* By option name, `-` and `_` alike; NULL when nobody knows it. */
const struct compat *conf_compat_find(struct str name);
const struct compat *conf_compat_find_letter(char letter);
/* By the name used in a gunicorn.conf.py. */
const struct compat *conf_compat_find_setting(struct str name);

/* The value that `text` stands for: --reload=dev is Spawning's way to turn it on. */
const char *conf_compat_word(enum conf_id id, const char *text);

/* --worker-class: 0 for the four there are; otherwise the sentence. */
NODISCARD int conf_compat_check_class(const char *name, struct err *e);
/* The library whose green threads run the requests: "eventlet", "gevent", or NULL. */
const char *conf_compat_green(const struct conf *c);

/* The known option nearest to what was written, NULL when none is near. With `settings`
 * gunicorn's names for a file count too. */
const char *conf_compat_nearest(struct str name, bool settings);
