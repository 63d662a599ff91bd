from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable
from errno import ENOSPC
from os import strerror
from pathlib import Path
from unittest import mock

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.output import (
    LineOutput,
    ResultView,
    ResultWriter,
    Values,
    opened,
)
from echoproto.cli.outputfile import OutputFile
from tests.cli.commandcase import FILE_FULL, BrokenPipe


class NumberView(ResultView[int, str]):
    """Events are numbers; the result is a word."""

    eventType = "number"

    def eventLines(self, event: int) -> Iterable[str]:
        return (f"number {event}",)

    def resultLines(self, result: str) -> Iterable[str]:
        return (f"result {result}",)

    def eventValues(self, event: int) -> Values:
        return {"number": event, "text": "a, b"}

    def document(self, result: str) -> Values:
        return {"result": result}


class ResultWriterTests(SynchronousTestCase):
    def written(self, name: str) -> list[str]:
        """The lines of a format, of two events and a result."""
        writer = ResultWriter(name, NumberView())
        lines = [*writer.heading("HEADING")]
        for number in (1, 2):
            lines += writer.event(number)
        return [*lines, *writer.result("good")]

    def test_text(self) -> None:
        """Text has a heading, the lines of the events, and those of the result."""
        self.assertEqual(self.written("text"), ["HEADING", "number 1", "number 2", "result good"])

    def test_json(self) -> None:
        """JSON is one document at the end."""
        self.assertEqual(json.loads("\n".join(self.written("json"))), {"result": "good"})

    def test_ndjson(self) -> None:
        """NDJSON has a line for each event, and one for each summary."""
        event = {"type": "number", "text": "a, b"}
        self.assertEqual(
            list(map(json.loads, self.written("ndjson"))),
            [
                {**event, "number": 1},
                {**event, "number": 2},
                {"type": "summary", "result": "good"},
            ],
        )

    def test_csv(self) -> None:
        """CSV has the names of the columns, and a row for each event."""
        self.assertEqual(
            list(csv.reader(self.written("csv"))),
            [["number", "text"], ["1", "a, b"], ["2", "a, b"]],
        )

    def test_other(self) -> None:
        """Another format is that of the view's result."""
        self.assertEqual(self.written("junit"), ["result good"])

    def test_default(self) -> None:
        """A view that describes nothing writes nothing, or empty documents."""
        for name, lines in (("text", []), ("json", ["{}"]), ("ndjson", ['{"type": "summary"}'])):
            writer: ResultWriter[object, object] = ResultWriter(name, ResultView())
            text = [*writer.event(None)] if name == "text" else []
            self.assertEqual([*text, *writer.result(None)], lines)
        self.assertEqual(ResultView[object, object]().eventValues(None), {})


class LineOutputTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Each line is written."""
        stream = io.StringIO()
        LineOutput(stream, self.fail).write(["one", "two"])
        self.assertEqual(stream.getvalue(), "one\ntwo\n")

    def test_result(self) -> None:
        """On a stream that is no file of ours, a result is lines like others."""
        stream = io.StringIO()
        LineOutput(stream, self.fail).writeResult(["one", "two"])
        self.assertEqual(stream.getvalue(), "one\ntwo\n")

    def test_full(self) -> None:
        """The first error is reported with its reason; nothing is written after it."""
        reasons: list[str] = []
        with open("/dev/full", "w") as stream:
            output = LineOutput(stream, reasons.append)
            for _ in range(2):
                output.write(["text"])
            self.assertRaises(OSError, stream.close)
        self.assertEqual(
            reasons, ["cannot write: No space left on device; the rest of the output is lost"]
        )

    def test_fullStandardOutput(self) -> None:
        """An error of the standard output is reported once: not again when that is flushed."""
        reasons: list[str] = []
        with open("/dev/full", "w") as stream:
            self.patch(sys, "stdout", stream)
            LineOutput(stream, reasons.append).write(["text"])
            stream.flush()
        self.assertEqual(len(reasons), 1)

    def test_readerIsGone(self) -> None:
        """A reader that is gone is no error, and has no reason."""
        reasons: list[str] = []
        LineOutput(BrokenPipe(), reasons.append).write(["text"])
        self.assertEqual(reasons, [""])


class OpenedTests(SynchronousTestCase):
    def test_file(self) -> None:
        """Without a path, or with -, it is the standard output; a file is closed at the end."""
        for standard in (None, "-"):
            with opened(standard) as stream:
                self.assertIs(stream, sys.stdout)
        path = Path(self.mktemp())
        with opened(str(path)) as stream:
            stream.write("kept")
        self.assertTrue(stream.closed)
        self.assertEqual(path.read_text(), "kept")

    def test_kept(self) -> None:
        """A complete result replaces an earlier file; one of nothing leaves it alone."""
        path = Path(self.mktemp())
        for text in ("earlier", "new"):
            with opened(str(path)) as stream:
                LineOutput(stream, self.fail).writeResult([text])
            self.assertEqual(path.read_text(), f"{text}\n")
        with opened(str(path)) as stream:
            LineOutput(stream, self.fail).writeResult(["empty"], isEmpty=True)
        self.assertEqual(path.read_text(), "new\n")

    def test_notKept(self) -> None:
        """If the file cannot be written or replaced, the result is on the standard output."""
        path = Path(self.mktemp())
        full = OSError(ENOSPC, strerror(ENOSPC))
        for method, lines in (("write", ["one", "two"]), ("keep", ["three"])):
            reasons: list[str] = []
            output = io.StringIO()
            self.patch(sys, "stdout", output)
            with (
                opened(str(path)) as stream,
                mock.patch.object(OutputFile, method, side_effect=full),
            ):
                LineOutput(stream, reasons.append).writeResult(line for line in lines)
            self.assertEqual(output.getvalue().splitlines(), lines)
            self.assertEqual(reasons, [FILE_FULL])

    def test_rescued(self) -> None:
        """If the result is in another file, the error names that."""
        reasons: list[str] = []
        full = OSError(ENOSPC, "No space left on device; the result is in FILE")
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        with (
            opened(self.mktemp()) as stream,
            mock.patch.object(OutputFile, "keep", side_effect=full),
            mock.patch.object(OutputFile, "isRescued", True),
        ):
            LineOutput(stream, reasons.append).writeResult(["text"])
        self.assertEqual(reasons, [f"cannot write: {full.strerror}"])
        self.assertEqual(output.getvalue(), "")

    def test_unwritable(self) -> None:
        """A file that cannot be opened is a usage error; a full one is closed without an error."""
        with (
            self.assertRaisesRegex(click.UsageError, "/nowhere/x: the folder does not"),
            opened("/nowhere/x"),
        ):
            pass
        with opened("/dev/full") as stream:
            stream.write("lost")
