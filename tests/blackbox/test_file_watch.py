"""--reload: a file of the application changes, and the new code serves; a broken one does not.

SPDX-License-Identifier: MIT
"""

from waiting import wait_for

APP = """
import helper

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [helper.TEXT]
"""


def text(server):
    return server.ask().body


def test_saved_code_serves_and_broken_code_does_not(server, tmp_path):
    (tmp_path / "site_app.py").write_text(APP)
    helper = tmp_path / "helper.py"
    helper.write_text("TEXT = b'one'\n")
    extra = tmp_path / "settings.ini"
    extra.write_text("a = 1\n")
    srv = server(
        "site_app:application",
        "--reload",
        "--reload-keep=0",
        "--reload-extra-file",
        str(extra),
        cwd=tmp_path,
        workers=2,
    )
    assert text(srv) == b"one"
    helper.write_text("TEXT = b'three'\n")
    wait_for(lambda: text(srv) == b"three", 10, "the new code")
    srv.expect_log("application not loaded").expect_log("reload failed job=")
    helper.write_text("TEXT = (\n")
    wait_for(lambda: "reload failed" in srv.log, 10, "the failure")
    assert "SyntaxError" in srv.log
    assert text(srv) == b"three"
    helper.write_text("TEXT = b'fourth'\n")
    wait_for(lambda: text(srv) == b"fourth", 10, "the mended code")
    before = srv.log.count("reload done")
    extra.write_text("a = 2\n")
    wait_for(lambda: srv.log.count("reload done") == before + 1, 10, "the extra file")
