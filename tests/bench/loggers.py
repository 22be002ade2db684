"""Servers whose access logs are compared: how they are had, started and told to log bytes.

SPDX-License-Identifier: MIT
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import peers
from peers import BIN, HERE, ROOT, VENV, WORK, Peer

# What the distribution packages is unpacked here, not installed: no service is started,
# and a system that has it keeps its own.
SYSTEM = WORK / "system"
SHOAL_FIELDS = ("acked", "sent")

NGINX = """\
daemon off;
user www-data;
worker_processes 1;
pid {folder}/nginx.pid;
lock_file {folder}/nginx.lock;
error_log stderr;
events {{ }}
http {{
    log_format bytes '$request_uri $bytes_sent';
    access_log {log} bytes;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile SENDFILE;
    server {{
        listen {host}:{port};
        root {folder};
    }}
}}
"""

APACHE = """\
ServerRoot {folder}
ServerName localhost
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
Listen {host}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
StartServers 1
User www-data
Group www-data
ErrorLog /dev/stderr
LogFormat "%U%q %O" bytes
CustomLog {log} bytes
DocumentRoot {folder}
"""


@dataclass(frozen=True)
class Place:
    """Where a server listens, and its folder: world-readable, with the file to serve."""

    host: str
    folder: Path

    @property
    def log(self):
        return self.folder / "access.log"


@dataclass(frozen=True)
class Logger(Peer):
    """A server whose log has a line per request that ends with the numbers of `fields`."""

    fields: tuple = ()
    bodies: tuple = ("list", "pieces")
    config: str = ""
    program: str = ""  # of the distribution's package

    def arguments(self, port, workload, prefix=()):
        """The command line; `workload` is the Place."""
        values = {
            "port": port,
            "host": workload.host,
            "folder": workload.folder,
            "log": workload.log,
            "config": workload.folder / f"{self.name}.conf",
            "modules": system_path("usr/lib/apache2/modules"),
            "root": ROOT,
            "program": self.program and program_path(self.program),
        }
        if self.config:
            values["config"].write_text(self.config.format(**values))
        return [str(word).format(**values) for word in (*prefix, *self.command)]

    def environment(self):
        if not self.program:
            return {}
        libraries = sorted({str(found.parent) for found in SYSTEM.rglob("lib*.so.*")})
        return {"LD_LIBRARY_PATH": ":".join(libraries)}


def system_path(name):
    """A file of the distribution: installed, or where it is unpacked."""
    installed = Path("/") / name
    return installed if installed.exists() else SYSTEM / name


def program_path(program):
    return shutil.which(program, path="/usr/sbin:/usr/bin") or SYSTEM / "usr/sbin" / program


def nginx(name, sendfile):
    return Logger(
        name,
        "nginx",
        ("{program}", "-e", "stderr", "-p", "{folder}", "-c", "{config}"),
        fields=("$bytes_sent",),
        bodies=("file",),
        config=NGINX.replace("SENDFILE", sendfile),
        program="nginx",
    )


def gunicorn(kind, *options):
    line = ("transfer_app:app", "-b", "{host}:{port}", "-w", "1", "-k", kind, *options)
    log = ("--access-logfile", "{log}", "--access-logformat", "%(U)s?%(q)s %(B)s")
    return Logger(
        f"gunicorn-{kind}",
        "gunicorn",
        (BIN / "gunicorn", *line, "--log-level", "error", *log),
        fields=("%(B)s",),
    )


SHOAL = Logger(
    "shoal",
    "",
    (
        *("{root}/build/release/bin/shoal", "-b", "{host}:{port}", "-w", "1", "--venv", VENV),
        *("--log-level", "error", "--allow-root", "--access-logfile", "{log}"),
        *("--access-logformat", "%(U)s?%(q)s " + " ".join(f"%({x})s" for x in SHOAL_FIELDS)),
        "transfer_app:app",
    ),
    fields=SHOAL_FIELDS,
)

LOGGERS = [
    SHOAL,
    nginx("nginx", "on"),
    nginx("nginx-sendfile-off", "off"),
    Logger(
        "apache",
        "apache2-bin",
        ("{program}", "-f", "{config}", "-D", "FOREGROUND"),
        fields=("%O",),
        bodies=("file",),
        config=APACHE,
        program="apache2",
    ),
    gunicorn("sync"),
    gunicorn("gthread", "--threads", "1"),
    Logger(
        "uwsgi",
        "uwsgi",
        (
            *(BIN / "uwsgi", "--http-socket", "{host}:{port}", "--module", "transfer_app:app"),
            *("--master", "--processes", "1", "--need-app", "--die-on-term"),
            *("--virtualenv", VENV, "--logto2", "{log}", "--log-format", "%(uri) %(size)"),
        ),
        fields=("%(size)",),
    ),
    Logger(
        "eventlet",
        "eventlet",
        (BIN / "python", HERE / "transfer_app.py", "{host}", "{port}", "{log}"),
        fields=("%(body_length)s",),
    ),
]


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=300, **more)


def unpack(package):
    """Gets a package and what it needs that is not installed; the reason when it cannot."""
    asked = run("apt-get", "install", "--dry-run", "--no-install-recommends", package)
    names = [line.split()[1] for line in asked.stdout.splitlines() if line.startswith("Inst ")]
    if not names:
        return (asked.stderr.strip() or f"apt knows no {package}").split("\n")[-1]
    SYSTEM.mkdir(parents=True, exist_ok=True)
    got = run("apt-get", "download", *names, cwd=SYSTEM)
    if got.returncode:
        return got.stderr.strip().split("\n")[-1]
    for archive in SYSTEM.glob("*.deb"):
        run("dpkg", "-x", archive, SYSTEM, check=True)
        archive.unlink()
    return None


def packaged_version(peer, say):
    """(version, None) or (None, reason) of a program of the distribution."""
    try:
        if not Path(program_path(peer.program)).exists():
            say(f"unpacking {peer.package}")
            if trouble := unpack(peer.package):
                return None, trouble
        environment = {"PATH": "/usr/bin", **peer.environment()}
        shown = run(program_path(peer.program), "-v", env=environment)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"{type(error).__name__}: {error}"
    words = (shown.stdout + shown.stderr).partition("/")[2].split()
    if shown.returncode or not words:
        return None, (shown.stderr.strip() or "does not tell its version").split("\n")[-1]
    return words[0], None


def install(chosen, say):
    """Like peers.install, with what the distribution has."""
    versions, missing = peers.install([peer for peer in chosen if not peer.program], say)
    for peer in chosen:
        if peer.program:
            version, reason = packaged_version(peer, say)
            if version:
                versions[peer.name] = version
            else:
                missing[peer.name] = reason
    return versions, missing
