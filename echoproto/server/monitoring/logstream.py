"""
The output stream of the log: no line is lost for its encoding, none is torn by another process, and
a reader that stops reading does not stop the program.

Python raises an error for text that the encoding of a stream, such as ASCII, cannot hold, and the
line is lost; here such characters are escaped. Several processes that write to one pipe do not mix
up their lines as long as each line is one write of at most PIPE_BUF bytes (pipe(7)); otherwise a
client could forge a line by text that happens to follow a gap.

A write to a full pipe, or to a terminal that was stopped by Ctrl-S, waits until somebody reads, and
meanwhile no client would be answered. Clients can fill the pipe of a log that nobody reads.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from select import PIPE_BUF, POLLOUT, poll
from stat import S_ISFIFO
from time import monotonic
from typing import TextIO, cast

#: Stands for the middle of a line that was too long.
GAP = " [...] "

#: The longest line in bytes, with its end, of a process that shares its output with others.
MAX_SHARED_LINE = PIPE_BUF

#: Seconds to wait once for a reader that is merely slow.
READER_TIMEOUT = 0.1

#: How characters are written that an encoding cannot hold.
ESCAPE = "backslashreplace"


def escapeUnencodable(*streams: TextIO | None) -> None:
    """
    Make text streams escape characters that their encodings cannot hold.

    :param streams: standard streams; others, such as those in memory, are left alone.
    """
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=ESCAPE)


def withoutMiddle(text: str, length: int) -> str:
    """
    The beginning and the end of a text.

    :param length: the length of the result, at least that of :data:`GAP`.
    """
    kept = length - len(GAP)
    end = kept // 2
    return text[: kept - end] + GAP + text[len(text) - end :]


class LogStream:
    """
    A text stream that does not wait for its reader longer than :data:`READER_TIMEOUT`.

    After that, writes fail at once until the reader reads again. A line that was begun is completed
    before the next one.

    :param stream: the stream of the same file; it may be closed.
    :param isShared: whether other processes write there, too. Then a write has at most
        :data:`MAX_SHARED_LINE` bytes: of a longer line, or of a traceback, the middle is left out.
    :ivar encoding: the encoding of the text.
    """

    def __init__(self, stream: TextIO, isShared: bool) -> None:
        self.encoding = stream.encoding or "utf-8"
        self._isShared = isShared
        self._descriptor = _nonBlocking(stream.fileno())
        self._poll = poll()
        self._poll.register(self._descriptor, POLLOUT)
        # The rest of a line that was written in part.
        self._begun = b""
        self._isStuck = False

    def write(self, text: str) -> None:
        """
        Write one line, or several.

        :raise OSError: they could not be written, or only in part.
        """
        # Taken from the attribute, because the handler of a signal may write meanwhile.
        begun, self._begun = self._begun, b""
        rest, error = self._send(begun)
        if error is None:
            data = self._encode(text)
            rest, error = self._send(data)
            if len(rest) == len(data):
                # It was not begun.
                rest = b""
        if rest:
            self._begun = rest
        if error is not None:
            raise error

    def flush(self) -> None:
        """Nothing to do: :meth:`write` keeps nothing."""

    def fileno(self) -> int:
        """Its descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)

    def _encode(self, text: str) -> bytes:
        data = text.encode(self.encoding, ESCAPE)
        while self._isShared and len(data) > MAX_SHARED_LINE:
            # At least one byte per character; escapes need up to ten.
            excess = max((len(data) - MAX_SHARED_LINE) // 10, 1)
            text = withoutMiddle(text, max(len(text) - excess - len(GAP), len(GAP)))
            data = text.encode(self.encoding, ESCAPE)
        return data

    def _send(self, data: bytes) -> tuple[bytes, OSError | None]:
        """Write data; returns what could not be written, and why."""
        while data:
            try:
                # A pipe that is ready takes this much (pipe(7)).
                written = self._writeInTime(data[:PIPE_BUF])
            except OSError as error:
                return data, error
            data = data[written:]
        return data, None

    def _writeInTime(self, data: bytes) -> int:
        end = monotonic() + (0 if self._isStuck else READER_TIMEOUT)
        while self._poll.poll(max(end - monotonic(), 0) * 1000):
            try:
                written = os.write(self._descriptor, data)
            except BlockingIOError:
                # Another process was faster, or a terminal has room for less than a character.
                if monotonic() < end:
                    continue
                break
            self._isStuck = False
            return written
        self._isStuck = True
        raise OSError(errno.ETIMEDOUT, "the reader of the log does not read")


def _nonBlocking(descriptor: int) -> int:
    """
    Another descriptor of the same file. Of a pipe or a terminal it is one that never waits, while
    those of other processes still do.
    """
    if os.isatty(descriptor) or S_ISFIFO(os.fstat(descriptor).st_mode):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        # Not permitted for that of another user: then poll(2) alone decides.
        with suppress(OSError):
            return os.open(f"/proc/self/fd/{descriptor}", flags)
    return os.dup(descriptor)


def logStream(isShared: bool) -> TextIO | None:
    """
    Standard output as the stream of the log; ``None`` if it is closed.

    :param isShared: whether other processes write there too.
    """
    escapeUnencodable(sys.stdout, sys.stderr)
    if sys.stdout is None:
        return None
    return cast(TextIO, LogStream(sys.stdout, isShared))
