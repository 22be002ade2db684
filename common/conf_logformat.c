/* Whether an access-log format is one the workers can compile: its atoms and their form.
 * SPDX-License-Identifier: MIT */
#include "common/conf_logformat.h"

static const char *const named_formats[] = {"combined", "eventlet", "json", "json-acked"};

static const char *const atoms[] = {
#define ATOM(name, what) name,
#include "common/access_atoms.def"
#undef ATOM
};

static int
check_atom(struct str name, struct err *e)
{
	bool field = name.n > 3 && name.p[0] == '{' && name.p[name.n - 2] == '}';
	int n = (int)MIN(name.n, 64);

	for (size_t i = 0; i < ARRAY_LEN(atoms); i++)
		if (str_eq(str_of(atoms[i]), name))
			return 0;
	if (field && name.p[name.n - 1] == 'i')
		return 0;
	if (field)
		return err_set(e,
		    "there is no %%(%.*s)s, only request fields, %%({name}i)s", n, name.p);
	return err_set(e, "there is no atom %%(%.*s)s", n, name.p);
}

int
conf_logformat_check(const char *format, struct err *e)
{
	const char *p = strchr(format, '%');

	for (size_t i = 0; i < ARRAY_LEN(named_formats); i++)
		if (strcmp(format, named_formats[i]) == 0)
			return 0;
	if (p == NULL)
		return err_set(e, "expected combined, eventlet, json, json-acked or a "
				  "format with %%(atom)s");
	for (; p != NULL; p = strchr(p, '%')) {
		const char *name = p + 2, *close;

		if (p[1] == '%') {
			p += 2;
			continue;
		}
		if (p[1] != '(')
			return err_set(e, "expected %%(atom)s or %%%% where there is a %%");
		close = strchr(name, ')');
		if (close == NULL)
			return err_set(e, "expected ) after %%(%.40s", name);
		if (check_atom((struct str){name, (size_t)(close - name)}, e) != 0)
			return -1;
		/* Python's width and precision change nothing in a log line. */
		p = close + 1 + strspn(close + 1, "-0123456789.");
		if (*p == '\0' || strchr("sdf", *p) == NULL)
			return err_set(e, "expected s, d or f after %%(%.*s)",
			    (int)MIN(close - name, 64), name);
	}
	return 0;
}
