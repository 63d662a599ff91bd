from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import CheckVerdict
from echoproto.report.checks import checkRows, conformanceLine
from tests.report.sampleresults import conformanceResult


class ConformanceTests(SynchronousTestCase):
    result = conformanceResult(
        ("tcp", "answers", CheckVerdict.PASSED, ""),
        ("tcp", "half-close", CheckVerdict.FAILED, "1 bytes: none came back"),
        ("udp", "source", CheckVerdict.PASSED, "asked at 127.0.0.1"),
        ("udp", "burst", CheckVerdict.SKIPPED, "stopped"),
    )

    def test_rows(self) -> None:
        """Each check has a row; a failed check has its source."""
        self.assertEqual(
            checkRows(self.result),
            [
                ("tcp", "answers", "passed", ""),
                ("tcp", "half-close", "failed", "1 bytes: none came back (RFC 862)"),
                ("udp", "source", "passed", "asked at 127.0.0.1"),
                ("udp", "burst", "skipped", "stopped"),
            ],
        )

    def test_quiet(self) -> None:
        """With quiet, only failed checks have rows."""
        self.assertEqual(
            [name for _, name, _, _ in checkRows(self.result, quiet=True)], ["half-close"]
        )

    def test_counts(self) -> None:
        """The numbers of checks are one line; skipped ones are added if there are any."""
        line = "conformance: 2 of 3 checks passed, 1 skipped"
        self.assertEqual(conformanceLine(self.result), line)
        self.assertEqual(
            conformanceLine(conformanceResult(("tcp", "answers", CheckVerdict.PASSED, ""))),
            "conformance: 1 of 1 checks passed",
        )
