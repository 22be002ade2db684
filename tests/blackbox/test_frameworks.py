"""Real frameworks and every form of body, used as their users use them.

SPDX-License-Identifier: MIT
"""

import hashlib
import os
import re
import subprocess
import sys

import pytest
import requests
from shoal_harness import APPS
from waiting import wait_for

pytestmark = pytest.mark.real_app


# ---- Flask ----


@pytest.fixture(scope="module")
def flask(module_server):
    srv = module_server("flask_site:app", "--threads", "2")
    srv.allow_log("a mistake of the view|Exception on /error|app: wsgi.errors")
    return srv


def test_flask_routes_and_json(flask):
    with requests.Session() as web:
        assert web.get(flask.url + "/").text == "<h1>index</h1>"
        saw = web.get(flask.url + "/users/7?a=b&c=%C3%A9").json()
        assert saw == {"number": 7, "args": {"a": "b", "c": "\u00e9"}, "scheme": "http"}
        sent = {"k": [1, None, "\u20ac"]}
        assert web.post(flask.url + "/json", json=sent).json()["got"] == sent
        assert web.get(flask.url + "/nowhere").status_code == 404
        assert web.delete(flask.url + "/").status_code == 405


def test_flask_forms_and_uploads(flask):
    form = requests.post(flask.url + "/form", data={"a": ["1", "2"], "b": "\u00e9"})
    assert form.json() == {"a": ["1", "2"], "b": ["\u00e9"]}
    data = os.urandom(3_000_000)
    answer = requests.post(
        flask.url + "/upload",
        data={"note": "n"},
        files={"file": ("d\u00e9.bin", data)},
    ).json()
    assert answer["size"] == len(data)
    assert answer["digest"] == hashlib.sha256(data).hexdigest()
    assert answer["note"] == "n"


def test_flask_chunked_upload(flask):
    """A generator as body: Transfer-Encoding: chunked, wsgi.input_terminated."""
    answer = requests.post(
        flask.url + "/json",
        data=(piece for piece in [b'{"a"', b": 1}"]),
        headers={"Content-Type": "application/json"},
    )
    assert answer.json()["got"] == {"a": 1}


def test_flask_streaming_and_files(flask, tmp_path):
    answer = requests.get(flask.url + "/stream?n=3000", stream=True)
    lines = list(answer.iter_lines())
    assert lines[-1] == b"2999,/stream" and len(lines) == 3000
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_500_000))
    got = requests.get(flask.url + "/send", params={"path": str(path)})
    assert got.content == path.read_bytes()
    head = requests.head(flask.url + "/send", params={"path": str(path)})
    assert head.headers["Content-Length"] == "1500000" and not head.content


def test_flask_sessions_and_cookies(flask):
    with requests.Session() as web:
        assert [web.get(flask.url + "/visits").text for _ in range(3)] == list("123")
        web.get(flask.url + "/cookies")
        assert web.get(flask.url + "/cookies").json()["two"] == "a b;c"


def test_flask_errors(flask):
    teapot = requests.get(flask.url + "/teapot")
    assert (teapot.status_code, teapot.json()) == (418, {"handled": 418})
    broken = requests.get(flask.url + "/error")
    assert broken.status_code == 500 and "mistake" not in broken.text
    flask.wait_log("a mistake of the view")
    assert requests.get(flask.url + "/away").text == "<h1>index</h1>"


def test_flask_teardown_runs_for_clients_that_leave(flask):
    before = int(requests.get(flask.url + "/teardowns").text)
    for _ in range(5):
        conn = flask.connect(rcvbuf=4096)
        conn.send("GET /stream?n=100000000&pause=1 HTTP/1.1\r\nHost: t\r\n\r\n")
        conn.read_exact(200)
        conn.reset()

    def all_ran():
        return int(requests.get(flask.url + "/teardowns").text) - before >= 5

    wait_for(all_ran, 10, "the teardown of the five")


# ---- Django ----


@pytest.fixture(scope="module")
def django_place(tmp_path_factory):
    """A place with a migrated database and an administrator."""
    place = tmp_path_factory.mktemp("django")
    env = dict(
        os.environ,
        DJANGO_PLACE=str(place),
        DJANGO_SETTINGS_MODULE="django_site.settings",
        DJANGO_SUPERUSER_PASSWORD="secret word",
        PYTHONPATH=str(APPS),
        PYTHONDONTWRITEBYTECODE="1",
    )
    for command in (
        ["migrate", "--run-syncdb", "-v0"],
        ["createsuperuser", "--noinput", "--username=root", "--email=r@t.invalid"],
    ):
        subprocess.run(
            [sys.executable, "-m", "django", *command],
            env=env, check=True, capture_output=True,
        )  # fmt: skip
    return place


@pytest.fixture
def django(server, django_place):
    srv = server(
        "django_site.wsgi:application",
        *("--threads", "2"),
        env={"DJANGO_PLACE": str(django_place)},
        workers=2,
    )
    return srv.allow_log("a mistake of the view|Internal Server Error: /error/|wsgi.errors")


def token(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]


def log_in(web, srv):
    page = web.get(srv.url + "/admin/login/")
    assert page.status_code == 200
    return web.post(
        srv.url + "/admin/login/?next=/admin/",
        data={
            "username": "root",
            "password": "secret word",
            "csrfmiddlewaretoken": token(page),
        },
    )


def test_django_admin_login_and_change(django):
    with requests.Session() as web:
        assert "Log in" in web.get(django.url + "/admin/").text
        page = log_in(web, django)
        assert "Site administration" in page.text and "Uploads" in page.text
        form = web.get(django.url + "/admin/files/upload/add/")
        added = web.post(
            django.url + "/admin/files/upload/add/",
            data={"title": "by admin", "digest": "", "csrfmiddlewaretoken": token(form)},
            files={"file": ("a.txt", b"content")},
        )
        assert "was added successfully" in added.text
        out = web.post(
            django.url + "/admin/logout/", data={"csrfmiddlewaretoken": token(form)}
        )
        assert out.status_code == 200
        assert "Log in" in web.get(django.url + "/admin/").text


def test_django_refuses_a_form_without_its_token(django):
    answer = requests.post(django.url + "/admin/login/", data={"username": "root"})
    assert answer.status_code == 403


def test_django_file_upload(django, django_place):
    data = os.urandom(4_000_000)
    with requests.Session() as web:
        page = web.get(django.url + "/upload/")
        done = web.post(
            django.url + "/upload/",
            data={"title": "large", "csrfmiddlewaretoken": token(page)},
            files={"file": ("large.bin", data)},
        )
    found = [row for row in done.json()["files"] if row["title"] == "large"]
    assert found[-1]["digest"] == hashlib.sha256(data).hexdigest()
    assert (django_place / "media" / found[-1]["file"]).read_bytes() == data


def test_django_streaming_and_error(django):
    assert requests.get(django.url + "/stream/").text.count("row") == 5000
    answer = requests.get(django.url + "/error/")
    assert answer.status_code == 500 and "mistake" not in answer.text
    assert requests.get(django.url + "/nowhere/").status_code == 404


# ---- bodies of every form ----


@pytest.fixture(scope="module")
def bodies(module_server):
    return module_server("generators:app")


@pytest.mark.parametrize(
    "path",
    ["list", "tuple", "generator", "iterator", "sequence", "class", "late", "map"],
)
def test_forms_of_a_body(bodies, path):
    with bodies.connect() as conn:
        for _ in range(2):
            assert conn.ask("/" + path).body == b"item\n" * 3


def test_empty_bodies(bodies):
    with bodies.connect() as conn:
        assert conn.ask("/empty").body == b""
        assert conn.ask("/empty-generator").body == b""
        assert conn.ask("/empty-items").body == b"item\n" * 3


def test_close_of_an_iterator_is_called_once(bodies):
    before = int(bodies.ask("/closed").body)
    bodies.ask("/iterator")
    assert int(bodies.ask("/closed").body) == before + 1


def test_many_items(bodies):
    want = b"".join(b"%d\n" % i for i in range(20000))
    assert bodies.ask("/many").body == want


# ---- the heritage ----


def test_posthooks_example_of_eventlet(server):
    srv = server("posthooks:hello_world")
    with srv.connect() as conn:
        for path in ("/a", "/b"):
            assert conn.ask(path).body == b"Hello, World!\r\n"
    srv.wait_log("Hook called: /a arg1 arg2 3 4")
    srv.wait_log("Hook called: /b arg1 arg2 3 4")


@pytest.mark.parametrize("buffering", ["memory", "disk", "off"])
def test_applications_under_the_validator(server, buffering):
    """wsgiref.validate complains about any departure from PEP 3333."""
    srv = server("validated:application", "--request-buffering", buffering)
    with srv.connect() as conn:
        assert conn.ask("/hello").body == b"hello"
        assert conn.ask("/sink", "POST", body=b"x" * 10000).body.startswith(b"10000 ")
        assert len(conn.ask("/big?kind=gen&size=300000").body) == 300000
        assert conn.ask("/write").body == b"by write\nby iteration\n"
        assert conn.ask("/hello", "HEAD").status == 200
