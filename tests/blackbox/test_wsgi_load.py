"""APP: gunicorn's grammar and its extensions, and what is said when it is wrong.

SPDX-License-Identifier: MIT
"""

import pytest
from shoal_harness import SANITIZED, run_to_end

# A sanitizer's runtime has to be first in the process, which exec of python rules out.
LAUNCHES = ["embed"] if SANITIZED else ["embed", "exec"]

SITE = '''
import sys
class Box:
    def __init__(self, text): self.text = text
    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [self.text.encode()]
    def inner(self, environ, start_response):
        start_response("200 OK", [])
        return [b"inner " + self.text.encode()]
application = Box("default")
other = Box("other")
def create(name="made", *, extra=""): return Box(name + extra)
def broken(): return None
def argv(environ, start_response):
    start_response("200 OK", [])
    return [repr((sys.argv, sys.path[0], bool(sys.executable))).encode()]
number = 5
def upper(app):
    return lambda e, s: [b"".join(app(e, s)).upper()]
def bracket(app):
    return lambda e, s: [b"<" + b"".join(app(e, s)) + b">"]
'''


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site_module.py").write_text(SITE)
    (tmp_path / "only_app.py").write_text(
        "def app(e, s):\n    s('200 OK', [])\n    return [b'app']\n"
    )
    (tmp_path / "neither.py").write_text("x = 1\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('while importing')\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "syntax.py").write_text("def x(:\n")
    return tmp_path


RIGHT = [
    (["site_module"], b"default"),
    (["site_module:other"], b"other"),
    (["site_module:other.inner"], b"inner other"),
    (["site_module:create()"], b"made"),
    (["site_module:create('x', extra='y')"], b"xy"),
    (["--factory", "site_module:create"], b"made"),
    (["site_module.py:other"], b"other"),
    (["./site_module.py"], b"default"),
    (["only_app"], b"app"),
    (["--middleware", "site_module.upper", "--middleware", "site_module.bracket",
      "site_module:other"], b"<OTHER>"),
]


@pytest.mark.parametrize("args,body", RIGHT)
def test_right(server, site, args, body):
    *options, app = args
    assert server(app, *options, cwd=site).ask("/").body == body


def test_chdir_and_argv(server, site):
    body = server("site_module:argv", "--chdir", site, cwd="/").ask("/").body.decode()
    assert eval(body) == (["site_module:argv"], str(site), True)


def test_pythonpath(server, site):
    assert server("site_module", "--pythonpath", f"/nowhere,{site}", cwd="/").ask("/").body == (
        b"default"
    )


def test_env(server, site):
    (site / "reads_env.py").write_text(
        "import os\nwords = os.environ['WORDS'].encode()\n"
        "def app(e, s):\n    s('200 OK', [])\n    return [words]\n"
    )
    assert server("reads_env", "-e", "WORDS=a=b", cwd=site).ask("/").body == b"a=b"


WRONG = [
    (["no_such_module"], "No module named 'no_such_module'"),
    (["neither"], "neither 'application' nor 'app'"),
    (["site_module:missing"], "no attribute 'missing'"),
    (["site_module:other.nope"], "no attribute 'other.nope'"),
    (["site_module:create(x)"], "must be literals"),
    (["site_module:number"], "'int', which cannot be called"),
    (["--factory", "site_module:broken"], "is None"),
    (["./missing.py"], "which is not there"),
    (["raises"], "RuntimeError: while importing"),
    (["exits"], "SystemExit"),
    (["syntax"], "SyntaxError"),
    (["--middleware", "upper", "site_module"], "MODULE.CALLABLE"),
    (["--middleware", "site_module.none", "site_module"], "has no attribute 'none'"),
]


@pytest.mark.parametrize("args,says", WRONG)
@pytest.mark.parametrize("launch", LAUNCHES)
def test_wrong(site, args, says, launch):
    *options, app = args
    ended = run_to_end("-b", "127.0.0.1:0", "--python-launch", launch, *options, app, cwd=site)
    assert ended.returncode == 3, ended.stderr
    assert says in ended.stderr
