"""What /proc tells about a server's processes.

SPDX-License-Identifier: MIT
"""

import ctypes
import os
from pathlib import Path


def stat(pid):
    """The fields of /proc/PID/stat behind the command name; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def alive(pid):
    """Running, and no zombie."""
    fields = stat(pid)
    return fields is not None and fields[0] not in "ZX"


def parent(pid):
    fields = stat(pid)
    return int(fields[1]) if fields else 0


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    """Living direct children, oldest first."""
    return sorted(p for p in pids() if alive(p) and parent(p) == pid)


def of_session(sid):
    """Living processes of a session."""
    found = []
    for pid in pids():
        fields = stat(pid)
        if fields and int(fields[3]) == sid and fields[0] not in "ZX":
            found.append(pid)
    return sorted(found)


def descriptors(pid):
    """{fd: what it refers to}; {} when the process is gone."""
    found = {}
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
            except FileNotFoundError:
                continue
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return found


def poll_sets(pid):
    """Descriptors of the epoll instances that wait for anything."""
    return [
        fd for fd, name in descriptors(pid).items() if name == "anon_inode:[eventpoll]"
        and "tfd:" in Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
    ]


def is_same_file(pid, fd, other_pid, other_fd):
    """One open file in two processes: kcmp(2), which has no name in Python."""
    number = {"x86_64": 312, "aarch64": 272}[os.uname().machine]
    KCMP_FILE = 0
    order = ctypes.CDLL(None).syscall(number, pid, other_pid, KCMP_FILE, fd, other_fd)
    assert order >= 0, "kcmp failed"
    return order == 0


def mappings(pid):
    """What the memory of a process is backed by, a line each: files, memfds, nothing."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [line.split(None, 5)[5] for line in lines if line.count(" ") > 4 and "/" in line]


def command(pid):
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def memory(pid, key="VmRSS"):
    """Bytes of a line of /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def private_memory(pid):
    """Bytes no other process shares."""
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total


def cpu_seconds(pid):
    """User and system time used so far."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
