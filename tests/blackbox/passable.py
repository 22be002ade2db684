"""Directories of a test that other users may pass through.

SPDX-License-Identifier: MIT
"""

import os


def make_passable(directory):
    """It and those above it, as far as they are ours to change and not open already."""
    for one in (directory, *directory.parents):
        state = one.stat()
        if state.st_mode & 0o055 != 0o055 and state.st_uid == os.geteuid():
            one.chmod(state.st_mode | 0o055)
