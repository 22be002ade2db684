"""A port in front of a control socket, for what speaks HTTP over TCP only.

SPDX-License-Identifier: MIT
"""

import socket
import threading


class Tunnel:
    """A port in front of the control socket, as `ssh -L` makes one."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/"
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.socket.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.path)
            except OSError:
                near.close()
                continue
            self.open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction has ended both

    def close(self):
        for one in [self.socket, *self.open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed at the other end
            one.close()
