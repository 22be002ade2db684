"""Each rule of rules.py against a sample that breaks it and one that keeps it.

SPDX-License-Identifier: MIT
"""

import pytest
import rules

LONG_FUNCTION = "static int\nparse(int a)\n{\n" + "\ta++;\n" * rules.FUNCTION_LINES + "}\n"
SHORT_FUNCTION = "static int\nparse(int a)\n{\n" + "\ta++;\n" * 58 + "}\n"
WORD = "TO" + "DO"

SAMPLES = [
    # rule, path, breaks it, keeps it
    (rules.forbidden_includes, "common/x.c", '#include "master/m.h"', '#include "common/y.h"'),
    (rules.forbidden_includes, "common/x.h", '#include "common/http/h.h"', "#include <stdio.h>"),
    (rules.forbidden_includes, "master/x.c", '#include "worker/w.h"', '#include "master/m.h"'),
    (
        rules.forbidden_includes,
        "worker/net/x.c",
        '#include "worker/py/env.h"',
        '#include "common/http/head.h"',
    ),
    (
        rules.forbidden_includes,
        "worker/py/x.c",
        '#include "worker/net/conn.h"',
        '#include "worker/net/app_ops.h"',
    ),
    (
        rules.forbidden_libraries,
        "worker/net/x.c",
        "#include <Python.h>",
        "#include <event2/event.h>",
    ),
    (rules.forbidden_libraries, "master/x.c", "#  include <openssl/ssl.h>", "#include <jansson.h>"),
    (rules.forbidden_libraries, "master/x.c", "#include <pthread.h>", "#include <poll.h>"),
    (rules.forbidden_libraries, "common/http/x.c", "#include <event2/event.h>", ""),
    (rules.long_file, "a.c", "\n" * 501, "\n" * 500),
    (rules.long_functions, "a.c", LONG_FUNCTION, SHORT_FUNCTION),
    (rules.no_purpose, "a.c", "#include <stdio.h>", "/* Says what this file is for. */"),
    (rules.no_purpose, "a.c", "/* Short. */", "/* Says what this file is for."),
    (rules.no_purpose, "a.py", "import os", '"""Says what this file is for."""'),
    (rules.no_purpose, "run", "#!/bin/sh\nset -e", "#!/bin/sh\n# Says what this file is for."),
    (rules.no_licence, "a.c", "/* Purpose. */", "/* SPDX-License-Identifier: MIT */"),
    (rules.unfinished_words, "a.c", f"/* {WORD}: later */", "/* mkstemp wants XXXXXX */"),
    (rules.sleeps, "test_a.py", "time.sleep" + "(1)", "wait_for(ready, 5)"),
]


@pytest.mark.parametrize(("rule", "path", "bad", "good"), SAMPLES)
def test_rule(rule, path, bad, good):
    assert rule(path, bad), "the rule does not see a violation"
    assert not rule(path, good), "the rule sees a violation that is none"


def test_cycle():
    two = {"a.h": '#include "b.h"', "b.h": '#include "a.h"'}
    assert rules.include_cycles(two) == ["include cycle: a.h -> b.h -> a.h"]
    assert rules.include_cycles({"a.h": '#include "b.h"', "b.h": ""}) == []


def test_function_name_is_reported():
    assert rules.long_functions("a.c", LONG_FUNCTION) == [
        "a.c:3: parse has 62 lines, the cap is 60"
    ]
