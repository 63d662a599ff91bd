from __future__ import annotations

import csv
import io
import json
import os
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from echoproto.cli.main import run
from echoproto.cli.report import SCHEMAS
from echoproto.report.documents.load import loadDocument
from echoproto.report.documents.report import reportDocument
from echoproto.report.loader import readResults
from echoproto.report.result import StoredResult
from echoproto.report.schema import DOCUMENTS, jsonSchema
from tests.cli.commandcase import FILE_FULL, BrokenPipe, CommandTestCase
from tests.report.sampleresults import loadResult, storedResult, storedVerification


class ReportTests(CommandTestCase):
    command = "report"

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.a = self.saved("a.json", storedResult(*[1] * 100))
        self.b = self.saved("b.json", storedResult(*[2] * 100))

    def saved(self, name: str, *results: StoredResult) -> str:
        path = self.folder / name
        path.write_text(json.dumps(reportDocument(results)))
        return str(path)

    def report(self, *words: str, output: Any = None) -> tuple[int, str, str]:
        ended = self.ended(*words, output=output)
        return ended.status, ended.output, ended.errors

    def shown(self, *words: str) -> str:
        status, output, errors = self.report(*words)
        self.assertEqual((status, errors), (0, ""))
        return output

    def refused(self, message: str, *words: str) -> None:
        status, output, errors = self.report(*words)
        self.assertEqual((status, output), (2, ""))
        self.assertEqual(errors, f"echoproto report: {message}\n")

    def test_standardOutput(self) -> None:
        """With - as the file of --html, --png or --csv, that is the whole output, if it is read."""
        path = Path(self.mktemp())
        with path.open("w") as output, redirect_stdout(output):
            self.assertEqual(run(("report", "--csv", "-", self.a)), 0)
        self.assertEqual(path.read_text().splitlines()[0].split(",")[0], "files")
        self.assertEqual(len(path.read_text().splitlines()), 2)
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as unread, redirect_stdout(unread):
            self.assertEqual(run(("report", "--csv", "-", self.a)), 0)

    def test_schema(self) -> None:
        """--schema prints the JSON schema of a document; a write error is one line."""
        for name in SCHEMAS:
            self.assertEqual(json.loads(self.shown("--schema", name)), jsonSchema(name))
        self.assertEqual(set(SCHEMAS), set(DOCUMENTS))
        self.assertEqual(self.report("--schema", "ping", output=BrokenPipe())[0], 0)
        status, output, errors = self.report("--schema", "ping", "--out", "/dev/full")
        self.assertEqual((status, json.loads(output)), (2, jsonSchema("ping")))
        self.assertEqual(errors, f"echoproto report: {FILE_FULL}\n")

    def test_notes(self) -> None:
        """The notes on a result follow the table."""
        path = self.saved("limited.json", storedResult(1, limits=("busy",)))
        self.assertEqual(
            self.shown(path).splitlines()[2:], ["udp://lab1:7: limited by the client: busy"]
        )

    def test_table(self) -> None:
        """Each result of each file is a row, of any command."""
        path = self.folder / "load.json"
        path.write_text(json.dumps(loadDocument(loadResult())))
        header, *rows = self.shown(
            self.a, str(path), self.saved("v.json", storedVerification())
        ).splitlines()
        self.assertEqual(header.split()[:4], ["target", "file", "command", "sent"])
        self.assertEqual(
            [row.split()[0] for row in rows[:3]], ["udp://lab1:7", "tcp://lab1:7", "udp://lab1:7"]
        )
        self.assertIn("2.0 MiB", rows[2])

    def test_merged(self) -> None:
        """--merge makes one row; its JSON can be read like any other result."""
        *_, note = self.shown("--merge", self.a, self.b).splitlines()
        self.assertIn(f"unknown when {self.a}, {self.b} began", note)
        # Also where a file that is read is written.
        self.shown("--merge", "-o", "json", "--out", self.b, self.a, self.b)
        (merged,) = readResults(self.b)
        self.assertEqual((merged.sent, merged.times.count), (20, 200))
        self.assertEqual(merged.files, (self.b,))

    def test_assertions(self) -> None:
        """Assertions are about the results that are shown, also merged ones; status 4 if failed."""
        words = ("--assert", "max<1.5ms", "--assert", "sent>=10", self.a, self.b)
        status, _, errors = self.report(*words)
        failure = "echoproto report: udp://lab1:7: max<1.5ms: max is 2.000ms\n"
        self.assertEqual((status, errors), (4, failure))
        status, _, errors = self.report("--merge", *words)
        self.assertEqual((status, errors), (4, failure))
        self.shown("--merge", "--assert", "sent==20", self.a, self.b)

    def test_compared(self) -> None:
        """Two files are compared by target, or the two targets of one file; in all formats."""
        output = self.shown("--compare", self.a, self.b)
        self.assertIn(f"A: udp://lab1:7, rtt of 100 exchanges ({self.a})\nB: ", output)
        self.assertIn("significantly slower, by 100 %", output)
        both = self.saved("both.json", storedResult(1), storedResult(1))
        self.assertEqual(self.shown("--compare", both).count("A: "), 1)
        self.assertEqual(self.shown("--compare", both, both).count("A: "), 2)
        one, two = storedResult(1), replace(storedResult(1), target="lab2")
        output = self.shown(
            "--compare", self.saved("x.json", one, two), self.saved("y.json", two, one)
        )
        self.assertRegex(output, "(?s)A: lab2.*\nB: lab2.*A: udp://lab1.*\nB: udp://lab1")
        document = json.loads(self.shown("--compare", "-o", "json", self.a, self.b))
        self.assertEqual(document["comparisons"][0]["differences"][0]["verdict"], "more")
        rows = list(
            csv.DictReader(io.StringIO(self.shown("--compare", "-o", "csv", self.a, self.b)))
        )
        self.assertEqual(
            [row["name"] for row in rows], ["p50", "p90", "p95", "p99", "p99.9", "loss"]
        )

    def test_cannotCompare(self) -> None:
        """Results without pairs, and pairs of different kinds, are not compared."""
        v = self.saved("v.json", storedVerification())
        needed = (
            "--compare needs two files with one target each or with the same targets, or one file "
            "with two targets; found"
        )
        name = "udp://lab1:7"
        self.refused(f"{needed} {name}", "--compare", self.a)
        self.refused(f"{needed} {name}, {name}, {name}", "--compare", self.a, self.a, self.b)
        two = self.saved("two.json", storedResult(1), replace(storedResult(1), target="lab2"))
        other = self.saved("other.json", storedResult(1), replace(storedResult(1), target="lab3"))
        self.refused(f"{needed} {name} and lab2, {name} and lab3", "--compare", two, other)
        self.refused(
            f"{self.a} has rtt times of ping, {v} has verify; only results of the same kind can be "
            "compared",
            "--compare",
            self.a,
            v,
        )

    def test_usage(self) -> None:
        """A usage error names the help."""
        for words, message in (
            ((), "missing argument 'FILE...'"),
            (("--merge", "--compare", self.a), "--merge makes one result, but --compare needs two"),
        ):
            self.refused(f"{message}; see echoproto report --help", *words)

    def test_input(self) -> None:
        """The file - is the standard input."""
        text = json.dumps(reportDocument([storedResult(1)]))
        for output, status in ((text, 0), ("", 2)):
            self.patch(sys, "stdin", io.TextIOWrapper(io.BytesIO(output.encode())))
            found = self.report("-o", "csv", "-")
            self.assertEqual(found[0], status)
            self.assertIn("standard input", found[1] + found[2])

    def test_unreadable(self) -> None:
        """A missing or foreign file, or a pipe, is one line, and status 2."""
        pipe = str(self.folder / "pipe")
        os.mkfifo(pipe)
        self.refused(f"{pipe}: not a regular file", pipe)
        with open("/proc/self/mem") as memory:
            self.patch(sys, "stdin", memory)
            self.refused("standard input: Input/output error", "-")
        missing = str(self.folder / "missing")
        self.refused(f"{missing}: No such file or directory", self.a, missing)
        self.refused(f"{self.folder}: Is a directory", str(self.folder))
        empty = self.folder / "empty"
        empty.write_text("")
        self.refused(f"{empty}: empty file; measure again, with -o json --out FILE", str(empty))

    def test_written(self) -> None:
        """--html, --png and --csv write the same results to files."""
        paths = [str(self.folder / name) for name in ("r.html", "r.png", "r.csv")]
        html, png, rows = paths
        self.shown("--html", html, "--png", png, "--csv", rows, self.a)
        page = Path(html).read_text()
        self.assertEqual((page.count("<svg"), page.count("<h2>Comparison")), (4, 0))
        self.assertEqual(Path(png).read_bytes()[1:4], b"PNG")
        self.assertEqual(Path(rows).read_text(), self.shown("-o", "csv", self.a))
        self.shown("--compare", "--html", html, self.a, self.b)
        self.assertIn("<h2>Comparison", Path(html).read_text())

    def test_unwritable(self) -> None:
        """A write error is one line, and status 2; a reader that is gone is not an error."""
        for option in ("--html", "--png", "--csv"):
            self.refused(
                "/dev/full: cannot write: No space left on device", option, "/dev/full", self.a
            )
        status, output, errors = self.report("--out", "/dev/full", self.a)
        self.assertEqual((status, output), (2, self.shown(self.a)))
        self.assertEqual(errors, f"echoproto report: {FILE_FULL}\n")
        message = "the folder does not exist; mkdir -p /nowhere"
        self.refused(
            f"--out /nowhere/x: {message}; see echoproto report --help",
            "--out",
            "/nowhere/x",
            self.a,
        )
        self.refused(f"/nowhere/x: cannot write: {message}", "--csv", "/nowhere/x", self.a)
        self.assertEqual(self.report(self.a, output=BrokenPipe())[0], 0)

    def test_noTimes(self) -> None:
        """Results without times have a page, but no charts."""
        path = self.saved("v.json", storedVerification())
        self.shown("--html", str(self.folder / "v.html"), path)
        self.refused("--png: nothing to plot; no result has times", "--png", "x", path)

    def test_extraMissing(self) -> None:
        """Without matplotlib charts name the extra; tables work."""
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            for option in ("--html", "--png"):
                needs = f"{option} needs matplotlib; in a clone: pip install -e '.[plot]'"
                self.refused(needs, option, "x", self.a)
            self.shown(self.a)
        self.assertFalse(os.path.exists("x"))
