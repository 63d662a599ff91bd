"""
Stale lock files of UNIX sockets.

Twisted's lock is a symbolic link that names the process that holds it, and it is stale if no such
process exists. In containers that says nothing: the next server may have the same number as the one
that was killed, most often 1, or another program has it. Whether a server listens is known to the
kernel, so the socket itself is tried.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress


def removeStaleLock(path: bytes | str) -> None:
    """
    Remove the lock of the UNIX socket ``path``, and the socket, if no server listens there.

    A file that is not a socket is left alone, and so is everything in case of doubt.
    """
    path = os.fsencode(path)
    lock = path + b".lock"
    if not os.path.islink(lock) or _isListening(path):
        return
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.remove(path)
    with suppress(OSError):
        os.remove(lock)


def removeLock(path: bytes | str) -> None:
    """Remove the lock of the UNIX socket ``path``, which this process holds without listening."""
    with suppress(OSError):
        os.remove(os.fsencode(path) + b".lock")


def _isListening(path: bytes) -> bool:
    """Whether a server listens on ``path``, or that is unknown."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            # EAGAIN: its backlog is full; others: no permission, a name that is too long.
            return True
    return True
