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
    Put a socket in the place of a descriptor's.

    :return: another descriptor of the original, for :func:`takeSubstitute`.
    :raise OSError: no descriptor is free.
    """
    original = os.dup(descriptor)
    os.dup2(substitute.fileno(), descriptor, inheritable=False)
    return original


def takeSubstitute(descriptor: int, original: int) -> None:
    """Put the original back in its place."""
    os.dup2(original, descriptor, inheritable=False)
    os.close(original)
