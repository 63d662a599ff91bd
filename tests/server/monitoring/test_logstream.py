from __future__ import annotations

import os
import sys
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.monitoring.logstream import (
    GAP,
    MAX_SHARED_LINE,
    SharedStream,
    discardUnwritten,
    escapeUnencodable,
    logStream,
    withoutMiddle,
)


class CountingBuffer(BytesIO):
    """A file that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> int:
        self.writes.append(bytes(data))
        return len(data)


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


class SharedStreamTests(SynchronousTestCase):
    def written(self, text: str, encoding: str) -> list[bytes]:
        buffer = CountingBuffer()
        inner = TextIOWrapper(cast(Any, buffer), encoding, errors="backslashreplace")
        stream = SharedStream(inner)
        stream.write(text)
        stream.flush()
        inner.detach()
        return buffer.writes

    def test_short(self) -> None:
        """A line that is short enough is written as it is."""
        line = "x" * (MAX_SHARED_LINE - 1) + "\n"
        self.assertEqual(self.written(line, "utf-8"), [line.encode()])

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

    def test_standardOutput(self) -> None:
        """The log is on standard output, if it is open, and limited if it is shared."""
        self.assertIs(logStream(False), sys.stdout)
        self.assertIsInstance(logStream(True), SharedStream)
        self.patch(sys, "stdout", None)
        self.assertIsNone(logStream(True))

    def test_noEncoding(self) -> None:
        """A stream without an encoding, such as one in memory, counts as UTF-8."""
        stream = StringIO()
        SharedStream(stream).write("ü" * MAX_SHARED_LINE)
        self.assertLessEqual(len(stream.getvalue().encode()), MAX_SHARED_LINE)


class DiscardTests(SynchronousTestCase):
    def test_readerIsGone(self) -> None:
        """What cannot be written is discarded, so that the end of the process is no error."""
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stream:
            stream.write("lost")
            discardUnwritten(stream)

    def test_written(self) -> None:
        """What can be written is written; a stream that is closed is left alone."""
        reader, writer = os.pipe()
        with os.fdopen(reader) as received, os.fdopen(writer, "w") as stream:
            stream.write("kept\n")
            discardUnwritten(stream)
            discardUnwritten(None)
            self.assertEqual(received.readline(), "kept\n")
