from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import (
    Check,
    CheckResult,
    CheckVerdict,
    ConformanceResult,
    toldBySize,
)


async def ask(asked: object) -> str:
    return ""


class ResultTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """A result tells how many checks have a verdict, and which failed."""
        check = Check("tcp", "bytes", "All come back.", "RFC 862", ask)
        grades = [
            CheckResult(check, verdict, "", 1)
            for verdict in (CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.PASSED)
        ]
        result = ConformanceResult("tcp://lab1:7", grades, True)
        self.assertEqual([result.count(each) for each in CheckVerdict], [2, 1, 0])
        self.assertEqual(result.failed, [grades[1]])


class ToldTests(SynchronousTestCase):
    def test_one(self) -> None:
        """What is wrong at one size is told with it."""
        self.assertEqual(toldBySize({8193: "cut"}), "8193 bytes: cut")

    def test_more(self) -> None:
        """Of more sizes the smallest is told in full."""
        self.assertEqual(
            toldBySize({9: "lost", 7: "cut", 8: "lost"}), "7 bytes: cut; also 8, 9 bytes"
        )
