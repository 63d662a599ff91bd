from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.output import CSV, FORMS, JSON, NDJSON, Guarded, Text, opened, outputOptions
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics

MS = 1_000_000


class FormTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stream = io.StringIO()
        self.record = PingStatistics(ProbePayload(b"test", 32), 50 * MS)
        self.probe = self.record.send(0)

    def write(self, form: Any, stamp: str = "", **named: Any) -> str:
        """What the form writes of one reply, a duplicate and a loss."""
        made = form(self.stream, lambda: stamp, **named)
        made.begin("udp://lab1:7", "192.0.2.1", 32)
        for each in (self.record.receive(self.probe, MS), self.record.receive(self.probe, 2 * MS)):
            made.seen("udp://lab1:7", 5, each)
        made.seen("udp://lab1:7", 6, self.record.lose(0, "gone"))
        result = PingResult(
            "udp://lab1:7", PingPlan(), self.record, MS, LatencyHistogram(), LatencyHistogram()
        )
        made.end([result, result], "2026-01-02T03:04:05+00:00", "00ff00ff")
        return self.stream.getvalue()

    def test_text(self) -> None:
        """A line for who is asked, one for each reply, and the summaries."""
        lines = self.write(Text, stamp="[7] ").splitlines()
        self.assertEqual(lines[0], "ECHO udp://lab1:7 (192.0.2.1), 32 bytes")
        self.assertEqual(lines[1], "[7] 32 bytes from udp://lab1:7: seq=1 time=1.000 ms")
        self.assertEqual(lines.count("--- udp://lab1:7 echo statistics ---"), 2)

    def test_quiet(self) -> None:
        """Quiet, replies and losses are counted only; what else is wrong is told."""
        lines = self.write(Text, quiet=True).splitlines()
        self.assertIn("duplicate", lines[1])
        self.assertTrue(lines[2].startswith("---"))

    def test_numericTarget(self) -> None:
        """An address that the target's name tells already is not told again."""
        Text(self.stream, str).begin("udp://192.0.2.1:7", "192.0.2.1", 32)
        Text(self.stream, str).begin("unix:///run/x", "", 32)
        self.assertEqual(
            self.stream.getvalue(),
            "ECHO udp://192.0.2.1:7, 32 bytes\nECHO unix:///run/x, 32 bytes\n",
        )

    def test_json(self) -> None:
        """One document at the end."""
        written = json.loads(self.write(JSON))
        self.assertEqual((written["session"], len(written["targets"])), ("00ff00ff", 2))

    def test_ndjson(self) -> None:
        """A line for each probe, then one for each target, as they are seen."""
        lines = [json.loads(each) for each in self.write(NDJSON).splitlines()]
        self.assertEqual([each["type"] for each in lines], ["probe"] * 3 + ["summary"] * 2)
        self.assertEqual([each["kind"] for each in lines[:3]], ["reply", "duplicate", "lost"])

    def test_csv(self) -> None:
        """The names of the columns, then a row for each probe."""
        rows = list(csv.DictReader(io.StringIO(self.write(CSV))))
        self.assertEqual([each["kind"] for each in rows], ["reply", "duplicate", "lost"])
        self.assertEqual(
            (rows[0]["rtt_ns"], rows[2]["rtt_ns"], rows[2]["detail"]), ("1000000", "", "gone")
        )

    def test_known(self) -> None:
        """Each form has a name."""
        self.assertEqual(FORMS, {"text": Text, "json": JSON, "ndjson": NDJSON, "csv": CSV})


class OptionTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """A command has the forms that it knows, the first unless told otherwise, and a file to write to."""
        found: dict[str, Any] = {}
        command = click.command()(
            outputOptions("text", "json")(lambda **given: found.update(given))
        )
        CliRunner().invoke(command, [])
        self.assertEqual(found, {"output": "text", "out": None})
        CliRunner().invoke(command, ["-o", "json", "--out", "x"])
        self.assertEqual(found, {"output": "json", "out": "x"})
        self.assertNotEqual(CliRunner().invoke(command, ["-o", "csv"]).exit_code, 0)


class GuardedTests(SynchronousTestCase):
    def test_fails(self) -> None:
        """It is called until it fails; then why is told, once, unless nobody reads any more."""
        for error, says in (
            (
                OSError(28, "No space left on device"),
                "cannot write: No space left on device; the rest is lost",
            ),
            (BrokenPipeError(), ""),
        ):
            said: list[str] = []
            write = mock.Mock(side_effect=[None, error])
            guarded = Guarded(said.append)
            for _ in range(3):
                guarded(write, "text")
            self.assertEqual((write.call_count, said), (2, [says]))


class OpenedTests(SynchronousTestCase):
    def test_file(self) -> None:
        """Without a path it is the standard output; else the file, closed at the end."""
        with opened(None) as stream:
            self.assertIs(stream, sys.stdout)
        path = Path(self.mktemp())
        with opened(str(path)) as stream:
            stream.write("kept")
        self.assertTrue(stream.closed)
        self.assertEqual(path.read_text(), "kept")

    def test_cannot(self) -> None:
        """A file that cannot be written is an error that says why; one that is full closes all the same."""
        with (
            self.assertRaisesRegex(click.UsageError, "/nowhere/x: No such file"),
            opened("/nowhere/x"),
        ):
            pass
        with opened("/dev/full") as stream:
            stream.write("lost")
