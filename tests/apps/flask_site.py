"""A Flask application with what people use Flask for.

SPDX-License-Identifier: MIT
"""

import hashlib
import time

from flask import (
    Flask,
    Response,
    abort,
    jsonify,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

app = Flask(__name__)
app.secret_key = "only for tests"


@app.get("/")
def index():
    return "<h1>index</h1>"


@app.get("/users/<int:number>")
def user(number):
    return jsonify(number=number, args=request.args.to_dict(), scheme=request.scheme)


@app.post("/json")
def as_json():
    return jsonify(got=request.get_json(), length=request.content_length)


@app.post("/form")
def form():
    return jsonify(request.form.to_dict(flat=False))


@app.post("/upload")
def upload():
    file = request.files["file"]
    data = file.read()
    return jsonify(
        name=file.filename,
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        note=request.form["note"],
    )


@app.get("/stream")
def stream():
    @stream_with_context
    def rows():
        for i in range(int(request.args["n"])):
            yield f"{i},{request.path}\n"
            if "pause" in request.args:
                time.sleep(0.01)

    return Response(rows(), mimetype="text/csv")


@app.get("/send")
def send():
    return send_file(request.args["path"], mimetype="application/octet-stream")


@app.get("/visits")
def visits():
    session["n"] = session.get("n", 0) + 1
    return str(session["n"])


@app.get("/cookies")
def cookies():
    answer = jsonify(request.cookies)
    answer.set_cookie("one", "1", httponly=True)
    answer.set_cookie("two", "a b;c", samesite="Lax")
    return answer


@app.get("/away")
def away():
    return redirect(url_for("index"))


@app.get("/teapot")
def teapot():
    abort(418)


@app.get("/error")
def error():
    raise ValueError("a mistake of the view")


@app.errorhandler(418)
def handle(problem):
    return jsonify(handled=problem.code), 418


hooks = []


@app.teardown_request
def teardown(_problem):
    hooks.append(1)


@app.get("/teardowns")
def teardowns():
    return str(len(hooks))
