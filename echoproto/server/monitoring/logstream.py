"""
The output stream of the log: no line is lost for its encoding, and none is torn by another process.

Python raises an error for text that the encoding of a stream, such as ASCII, cannot hold, and the
line is lost; here such characters are escaped. Several processes that write to one pipe do not mix
up their lines as long as each line is one write of at most PIPE_BUF bytes (pipe(7)); otherwise a
client could forge a line by text that happens to follow a gap.
"""

from __future__ import annotations

import os
import sys
from select import PIPE_BUF
from typing import TextIO, cast

#: Stands for the middle of a line that was too long.
GAP = " [...] "

#: The longest line in bytes, with its end, of a process that shares its output with others.
MAX_SHARED_LINE = PIPE_BUF


def escapeUnencodable(*streams: TextIO | None) -> None:
    """
    Make text streams escape characters that their encodings cannot hold.

    :param streams: standard streams; others, such as those in memory, are left alone.
    """
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def withoutMiddle(text: str, length: int) -> str:
    """
    The beginning and the end of a text.

    :param length: the length of the result, at least that of :data:`GAP`.
    """
    kept = length - len(GAP)
    end = kept // 2
    return text[: kept - end] + GAP + text[len(text) - end :]


class SharedStream:
    """
    A text stream whose writes are limited to :data:`MAX_SHARED_LINE` bytes: of a longer line, or of
    a traceback, the middle is left out.

    :param stream: the stream that receives them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write one line, or several."""
        encoding = self._stream.encoding or "utf-8"
        excess = len(text.encode(encoding, "backslashreplace")) - MAX_SHARED_LINE
        while excess > 0:
            # At least one byte per character; escapes need up to ten.
            text = withoutMiddle(text, max(len(text) - max(excess // 10, 1) - len(GAP), len(GAP)))
            excess = len(text.encode(encoding, "backslashreplace")) - MAX_SHARED_LINE
        self._stream.write(text)

    def flush(self) -> None:
        """See ``TextIO``."""
        self._stream.flush()


def logStream(isShared: bool) -> TextIO | None:
    """
    Standard output as the stream of the log; ``None`` if it is closed.

    :param isShared: whether other processes write there too.
    """
    escapeUnencodable(sys.stdout, sys.stderr)
    if not isShared or sys.stdout is None:
        return sys.stdout
    return cast(TextIO, SharedStream(sys.stdout))


def discardUnwritten(stream: TextIO | None) -> None:
    """
    Discard what a standard stream holds and cannot write, because its terminal or its reader is
    gone or the disk is full: Python would try again at the end, and exit with status 120.
    """
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
