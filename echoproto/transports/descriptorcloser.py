"""
Closing descriptors that clients of UNIX sockets have passed (SCM_RIGHTS, unix(7)).

Closing one may block for as long as its sender likes: a TCP socket with SO_LINGER, or a file of
FUSE. So a thread closes them, and sockets with unread data, in which descriptors may be. What waits
for it is bounded, for it would use up the descriptors of the process.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from errno import EAGAIN, EMFILE, ETOOMANYREFS
from fcntl import ioctl
from queue import SimpleQueue
from termios import FIONREAD
from threading import Thread
from typing import Any

#: Seconds that the thread may take for one descriptor; above that, clients that pass more are cut
#: off. Below that, they are not read while any waits.
BLOCKED_AFTER = 1.0

#: Descriptors that may wait while connections are accepted: more than wait for a moment.
MAX_WAITING = 64

#: Bytes for the descriptors of a message, at most 253 (unix(7)), and of a piece of unread data.
_CONTROL_BYTES = socket.CMSG_SPACE(4 * 253)
_PIECE_BYTES = 1 << 16

_NO_LINGER = struct.pack("ii", 0, 0)


class DescriptorCloser:
    """
    Closes descriptors of unknown kind in a thread, which is started for the first one.

    :param seconds: a monotonic clock.
    :ivar isIdle: returns whether nothing waits.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        # Each with whether it is a connection of our own.
        self._waiting: SimpleQueue[tuple[int, bool]] = SimpleQueue()
        self.isIdle: Callable[[], bool] = self._waiting.empty
        self._seconds = seconds
        self._lastClosed = 0.0
        self._thread: Thread | None = None

    def close(self, descriptor: int, isOwn: bool = False) -> None:
        """
        Close a descriptor soon.

        :param isOwn: whether it is a connection of our own, which may have unread data.
        """
        if self.isIdle():
            # It is not blocked because nothing was closed for long.
            self._lastClosed = self._seconds()
        self._waiting.put((descriptor, isOwn))
        if self._thread is None:
            # A daemon, so that a blocked close does not keep the process.
            self._thread = Thread(target=self._run, name="close descriptors", daemon=True)
            self._thread.start()

    def checkRoom(self) -> None:
        """
        Check that more descriptors may be received.

        :raise BlockingIOError: not now, some wait.
        :raise OSError: some wait, and the thread is blocked by one of them.
        """
        if not self.isIdle():
            raise OSError(self._errno(ETOOMANYREFS), "too many passed descriptors")

    def checkSockets(self) -> None:
        """
        Check that another connection may be opened.

        :raise BlockingIOError: not now, too many descriptors wait.
        :raise OSError: too many wait, and the thread is blocked by one of them.
        """
        if self._waiting.qsize() > MAX_WAITING:
            raise OSError(self._errno(EMFILE), "a passed descriptor cannot be closed")

    def _errno(self, blocked: int) -> int:
        return blocked if self._seconds() - self._lastClosed > BLOCKED_AFTER else EAGAIN

    def _run(self) -> None:
        while True:
            descriptor, isOwn = self._waiting.get()
            if isOwn:
                _removeUnread(descriptor)
            closeWithoutLinger(descriptor)
            self._lastClosed = self._seconds()


def closeWithoutLinger(descriptor: int) -> None:
    """Close a descriptor; a socket without waiting for its peer."""
    # OSError: it is no socket.
    with suppress(OSError):
        passed = socket.socket(fileno=descriptor)
        try:
            passed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        finally:
            passed.detach()
    with suppress(OSError):
        os.close(descriptor)


def unreadBytes(made: socket.socket) -> int:
    """
    Number of bytes that a socket has received, and nobody has read.

    :raise OSError: it is unknown.
    """
    return int.from_bytes(ioctl(made, FIONREAD, bytes(4)), sys.byteorder)


def passedDescriptors(ancillary: list[tuple[int, int, bytes]]) -> Iterator[int]:
    """The descriptors in the ancillary data of a receive."""
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            yield from (descriptor for (descriptor,) in struct.iter_unpack("i", content))


def _removeUnread(descriptor: int) -> None:
    """
    Close the descriptors in the unread data of a connection: the kernel would wait for their
    peers. A byte is left if possible, so that the peer gets a reset as ever.
    """
    # OSError: the connection has failed, or a sandbox forbids something.
    with suppress(OSError):
        made = socket.socket(fileno=descriptor)
        try:
            made.shutdown(socket.SHUT_RD)
            while (unread := unreadBytes(made)) and (unread > 1 or _bringsDescriptors(made)):
                _receive(made, min(max(unread - 1, 1), _PIECE_BYTES))
        finally:
            made.detach()


def _bringsDescriptors(made: socket.socket) -> bool:
    return bool(made.recvmsg(1, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT)[2] & socket.MSG_CTRUNC)


def _receive(made: socket.socket, size: int) -> None:
    flags: Any = socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    for passed in passedDescriptors(made.recvmsg(size, _CONTROL_BYTES, flags)[1]):
        closeWithoutLinger(passed)
