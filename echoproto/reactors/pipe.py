"""A pipe through which data moves between two sockets without being copied to this process."""

from __future__ import annotations

import os
from contextlib import suppress
from errno import EAGAIN, EINVAL, ENOSYS, EPERM
from fcntl import F_SETPIPE_SZ, fcntl

#: Room of the pipe in bytes: one page of 4 KiB for each packet, so it holds a whole
#: :data:`LARGEST_MOVE` also in packets of Ethernet's size.
PIPE_SIZE = 1 << 20

#: Bytes moved at once; what the target does not accept of them has to be kept in memory.
LARGEST_MOVE = 1 << 18

#: Errors of a kernel that has no splice(2) for this kind of socket, or does not permit it.
_REFUSED = frozenset({EINVAL, ENOSYS, EPERM})


class SplicePipe:
    """
    Moves data by splice(2). The pipe is empty between two calls of :meth:`move`, so all connections
    of a reactor share one; it is opened when it is needed.

    :ivar isUsable: whether the kernel has spliced, or has not been tried yet.
    """

    def __init__(self) -> None:
        self.isUsable = hasattr(os, "splice")
        self._ends: tuple[int, int] | None = None

    def move(self, source: int, target: int) -> tuple[int, bytes, int]:
        """
        Move what the socket ``source`` has received to the socket ``target``.

        :return: the number of bytes taken from ``source``, those of them that ``target`` has not
            accepted, and the errno of the reason. Nothing is taken at the end of input, at urgent
            data and if no pipe can be used: read ``source`` in the usual way then.
        :raise OSError: the connection of ``source`` has failed.
        """
        ends = self._ends or self._open()
        if ends is None:
            return 0, b"", 0
        # Kept again only when it is empty: no byte may get to another connection.
        self._ends = None
        try:
            moved = self._move(*ends, source, target)
            self._ends = ends
        finally:
            if self._ends is None:
                os.close(ends[0])
                os.close(ends[1])
        return moved

    def close(self) -> None:
        """Close the pipe; it is opened again when it is needed."""
        ends, self._ends = self._ends, None
        for end in ends or ():
            os.close(end)

    def _open(self) -> tuple[int, int] | None:
        try:
            ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            # No descriptor is free.
            return None
        # If it is more than this user may have (pipe(7)), less is moved at once.
        with suppress(OSError):
            fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE)
        return ends

    def _move(self, reader: int, writer: int, source: int, target: int) -> tuple[int, bytes, int]:
        try:
            taken = os.splice(source, writer, LARGEST_MOVE, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            self.isUsable = error.errno not in _REFUSED
            if error.errno == EAGAIN or not self.isUsable:
                return 0, b"", 0
            raise
        left = taken
        try:
            while left:
                left -= os.splice(reader, target, left, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            return taken, _read(reader, left), error.errno or 0
        return taken, b"", 0


def _read(reader: int, size: int) -> bytes:
    """Read exactly ``size`` bytes, which are in the pipe."""
    data = b""
    while len(data) < size:
        data += os.read(reader, size - len(data))
    return data
