from __future__ import annotations

import io
from contextlib import redirect_stderr

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.report import ReportOptions, reportCommand
from echoproto.cli.sessions import report
from echoproto.errors import ReportError


class ReportCommandTests(SynchronousTestCase):
    def ended(self, *words: str) -> int:
        """The exit status."""
        status: int = reportCommand.main(list(words), standalone_mode=False)
        return status

    def test_options(self) -> None:
        """It shows its files."""
        self.patch(report, "report", lambda options: len(options.files))
        self.assertEqual(self.ended("a.json", "b.json", "c.json"), 3)
        with self.assertRaisesRegex(click.UsageError, "--merge makes one result"):
            self.ended("--merge", "--compare", "a.json")
        with self.assertRaisesRegex(click.UsageError, "missing argument 'FILE...'"):
            self.ended("--merge")
        with self.assertRaisesRegex(click.UsageError, r"jitter is not measured \(names: .*, rate"):
            self.ended("--assert", "jitter<1ms", "a.json")
        self.patch(report, "printSchema", lambda options: 7)
        self.assertEqual(self.ended("--schema", "ping"), 7)

    def test_error(self) -> None:
        """An invalid file is one line, and status 2."""

        def fail(options: ReportOptions) -> int:
            raise ReportError("a.json: empty file")

        self.patch(report, "report", fail)
        with redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(self.ended("a.json"), 2)
        self.assertEqual(errors.getvalue(), "echoproto report: a.json: empty file\n")
