"""The smallest Flask application. SPDX-License-Identifier: MIT"""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "Hello, world!\n"
