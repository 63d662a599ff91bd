"""The stream of the log escapes, limits its lines, and does not wait for its reader."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from io import BytesIO, StringIO, TextIOWrapper
from select import POLLOUT
from tempfile import TemporaryFile
from typing import TextIO, cast
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.monitoring import logstream
from echoproto.server.monitoring.logstream import (
    GAP,
    MAX_SHARED_LINE,
    READER_TIMEOUT,
    LogStream,
    escapeUnencodable,
    logStream,
    withoutMiddle,
)


class EncodingTests(SynchronousTestCase):
    def test_escaped(self) -> None:
        """Characters that the encoding cannot hold are escaped, whatever it is."""
        for encoding, expected in (
            ("ascii", b"Gr\\xfc\\xdfe \\u2603 \\udcff"),
            ("latin-1", b"Gr\xfc\xdfe \\u2603 \\udcff"),
            ("utf-8", "Grüße \u2603 ".encode() + b"\\udcff"),
        ):
            buffer = BytesIO()
            stream = TextIOWrapper(buffer, encoding)
            escapeUnencodable(stream, StringIO(), None)
            stream.write("Grüße \u2603 \udcff")
            stream.flush()
            self.assertEqual(buffer.getvalue(), expected)

    def test_standardOutput(self) -> None:
        """The log is on standard output, if it is open."""
        stream = logStream(True)
        assert isinstance(stream, LogStream)
        self.addCleanup(stream.close)
        # twistd --logger=...jsonLines takes the stream that replaced standard output.
        second = LogStream(cast(TextIO, stream), isShared=False)
        second.close()
        self.patch(sys, "stdout", None)
        self.assertIsNone(logStream(True))


class LengthTests(SynchronousTestCase):
    def written(self, text: str, encoding: str, isShared: bool = True) -> list[bytes]:
        with TemporaryFile("w", encoding=encoding) as file, mock.patch("os.write") as write:
            write.side_effect = lambda descriptor, data: len(data)
            stream = LogStream(file, isShared)
            stream.write(text)
            stream.flush()
        stream.close()
        return [call.args[1] for call in write.call_args_list]

    def test_short(self) -> None:
        """A line that is short enough is written as it is."""
        line = "x" * (MAX_SHARED_LINE - 1) + "\n"
        self.assertEqual(self.written(line, "utf-8"), [line.encode()])

    def test_notShared(self) -> None:
        """A long line is written whole if no other process writes there."""
        line = "x" * 3 * MAX_SHARED_LINE + "\n"
        self.assertEqual(b"".join(self.written(line, "utf-8", isShared=False)), line.encode())

    @given(
        st.text(st.sampled_from("aü\u2603\U0001f600\udcff"), min_size=1, max_size=40),
        st.sampled_from(["ascii", "utf-8", "latin-1"]),
    )
    def test_long(self, piece: str, encoding: str) -> None:
        """A longer line is one write of at most that length, with its beginning and its end."""
        text = "begin " + piece * 5000 + " end\n"
        [line] = self.written(text, encoding)
        self.assertLessEqual(len(line), MAX_SHARED_LINE)
        self.assertGreater(len(line), MAX_SHARED_LINE // 2)
        self.assertEqual((line[:6], line[-5:]), (b"begin ", b" end\n"))
        self.assertIn(GAP.encode(), line)

    def test_withoutMiddle(self) -> None:
        """The result has the given length."""
        self.assertEqual(withoutMiddle("a" * 50 + "b" * 50, 11), f"aa{GAP}bb")
        self.assertEqual(withoutMiddle("a" * 50 + "b" * 50, len(GAP)), GAP)


class ReaderTests(SynchronousTestCase):
    """A line of 1,000 bytes at a time, to a reader that reads or does not."""

    line = "x" * 999 + "\n"

    def setUp(self) -> None:
        self.patch(logstream, "READER_TIMEOUT", 0)

    def opened(self, writer: int) -> LogStream:
        """A stream of a pipe or a terminal."""
        with os.fdopen(os.dup(writer), "w") as output:
            stream = LogStream(output, isShared=False)
        self.addCleanup(stream.close)
        return stream

    def makePipe(self) -> tuple[int, int]:
        """Its reader and its writer."""
        ends = os.pipe()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def makeTerminal(self) -> tuple[int, int]:
        """The end of its user, and that of the program."""
        ends = os.openpty()
        for end in ends:
            self.addCleanup(os.close, end)
        return ends

    def fill(self, stream: LogStream) -> int:
        """Write until it fails; returns the number of lines."""
        for count in range(10000):
            try:
                stream.write(self.line)
            except TimeoutError as error:
                self.assertEqual(error.strerror, "the reader of the log does not read")
                return count
        self.fail("every line was written")

    def checkFull(self) -> None:
        """Check a pipe that is full, and then read."""
        reader, writer = self.makePipe()
        stream = self.opened(writer)
        count = self.fill(stream)
        self.assertEqual(self.fill(stream), 0)
        self.assertEqual(os.read(reader, 1 << 20), self.line.encode() * count)
        stream.write("again\n")
        self.assertEqual(os.read(reader, 100), b"again\n")

    def test_full(self) -> None:
        """Lines for a full pipe fail at once, until somebody reads; those before arrive whole."""
        self.checkFull()

    def test_otherUser(self) -> None:
        """The same holds for the pipe of another user, which cannot be opened again."""
        self.patch(os, "open", mock.Mock(side_effect=PermissionError))
        self.checkFull()

    def test_stoppedTerminal(self) -> None:
        """Lines for a terminal that was stopped by Ctrl-S fail, until Ctrl-Q."""
        reader, writer = self.makeTerminal()
        stream = self.opened(writer)
        termios.tcflow(writer, termios.TCOOFF)
        self.assertEqual(self.fill(stream), 0)
        termios.tcflow(writer, termios.TCOON)
        stream.write("again\n")
        self.assertEqual(os.read(reader, 100), b"again\r\n")

    def test_partOfLine(self) -> None:
        """A line that a terminal took in part is completed before the next one."""
        reader, writer = self.makeTerminal()
        stream = self.opened(writer)
        self.fill(stream)
        received = b""
        while not received.endswith(b"again\r\n"):
            received += os.read(reader, 1 << 16)
            with contextlib.suppress(TimeoutError):
                stream.write("again\n")
        lines = set(received.split(b"\r\n"))
        self.assertEqual(lines, {self.line.strip().encode(), b"again", b""})

    def test_slow(self) -> None:
        """A stream waits for its reader once, so that one that is merely slow loses no line."""
        reader, writer = self.makePipe()
        self.fill(self.opened(writer))
        waits = []

        def waitWhileItReads(wait: float) -> list[tuple[int, int]]:
            waits.append(wait)
            os.read(reader, 1 << 20)
            return [(writer, POLLOUT)]

        self.patch(logstream, "READER_TIMEOUT", READER_TIMEOUT)
        self.patch(logstream, "poll", lambda: mock.Mock(poll=waitWhileItReads))
        self.opened(writer).write("late\n")
        self.assertEqual(os.read(reader, 100), b"late\n")
        self.assertTrue(0 < waits[0] <= 1000 * READER_TIMEOUT, waits)

    def test_otherWriter(self) -> None:
        """A stream waits again if another process has filled the pipe first."""
        self.patch(logstream, "READER_TIMEOUT", 60)
        stream = self.opened(self.makePipe()[1])
        with mock.patch("os.write", side_effect=[BlockingIOError, 5]) as write:
            stream.write("late\n")
        self.assertEqual(write.call_count, 2)

    def test_begun(self) -> None:
        """As long as a line that was begun cannot be completed, no other is written."""
        reader, writer = self.makePipe()
        stream = self.opened(writer)
        with mock.patch("os.write", side_effect=[3, BlockingIOError, BlockingIOError]):
            for line in ("first\n", "second\n"):
                self.assertRaises(TimeoutError, stream.write, line)
        stream.write("third\n")
        self.assertEqual(os.read(reader, 100), b"st\nthird\n")

    def test_signal(self) -> None:
        """The handler of a signal may log while a line is written; both are written once."""
        reader, writer = self.makePipe()
        stream = self.opened(writer)
        write, lines = os.write, ["from the handler\n"]

        def interrupted(descriptor: int, data: bytes) -> int:
            written = write(descriptor, data)
            while lines:
                stream.write(lines.pop())
            return written

        with mock.patch("os.write", interrupted):
            stream.write("interrupted\n")
            stream.write("next\n")
        self.assertEqual(os.read(reader, 100), b"interrupted\nfrom the handler\nnext\n")

    def test_noRoom(self) -> None:
        """A terminal that is ready, but has no room for a character, counts as not read."""
        stream = self.opened(self.makePipe()[1])
        with mock.patch("os.write", side_effect=BlockingIOError):
            self.assertEqual(self.fill(stream), 0)

    def test_readerIsGone(self) -> None:
        """Lines for a reader that is gone fail."""
        reader, writer = os.pipe()
        stream = self.opened(writer)
        os.close(reader)
        os.close(writer)
        self.assertRaises(BrokenPipeError, stream.write, "lost\n")

    def test_otherProcesses(self) -> None:
        """Other processes that write to the same pipe wait for its reader as before."""
        _, writer = self.makePipe()
        self.opened(writer)
        self.assertTrue(os.get_blocking(writer))
