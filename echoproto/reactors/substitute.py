"""
A socket in the place of another one, for a while.

OpenSSL works on the number of a descriptor. To control what it finds there, without a change of
OpenSSL, another socket gets that number; the kernel and the reactor keep the original.
"""

from __future__ import annotations

import os
import socket


def putSubstitute(descriptor: int, substitute: socket.socket) -> int:
    """
    Make ``descriptor`` refer to the socket ``substitute`` for a while.

    :return: another descriptor of its own socket, for :func:`takeSubstitute`.
    :raise OSError: no descriptor is free.
    """
    original = os.dup(descriptor)
    os.dup2(substitute.fileno(), descriptor, inheritable=False)
    return original


def takeSubstitute(descriptor: int, original: int) -> None:
    """Make ``descriptor`` refer to its own socket again, and close ``original``."""
    os.dup2(original, descriptor, inheritable=False)
    os.close(original)
