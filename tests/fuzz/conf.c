/* Fuzzes the JSON config file: any text is taken or refused, with a reason of one line.
 * SPDX-License-Identifier: MIT */
#include "common/conf_check.h"
#include "common/conf_file.h"
#include "common/strlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What a worker would be handed must be read back as the same. */
static void
check_round_trip(const struct conf *c)
{
	json_t *first = conf_to_json(c), *second;
	struct err e = {""};
	struct conf back;

	conf_init(&back);
	if (first == NULL || conf_from_json(&back, first, &e) != 0)
		abort();
	second = conf_to_json(&back);
	if (!json_equal(first, second))
		abort();
	json_decref(first);
	json_decref(second);
	conf_finish(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = {(const char *)data, n};
	struct strlist notices = {0};
	struct err e = {""};
	struct conf c;

	conf_init(&c);
	if (conf_file_apply_json(&c, "fuzz.json", text, &e) == 0) {
		check_round_trip(&c);
		if ((conf_check(&c, &notices, &e) != 0 || conf_check_app(c.app, &e) != 0) &&
		    e.text[0] == '\0')
			abort();
	} else if (e.text[0] == '\0') {
		abort();
	}
	strlist_finish(&notices);
	conf_finish(&c);
	return 0;
}
