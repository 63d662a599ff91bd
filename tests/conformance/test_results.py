from __future__ import annotations

from errno import EMFILE, ENFILE, ENOENT

from twisted.internet.error import ConnectError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import (
    Check,
    CheckResult,
    CheckVerdict,
    ConformanceResult,
    faultsBySize,
    isFileLimit,
)


async def ask(tester: object) -> str:
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
        self.assertEqual(faultsBySize({8193: "cut"}), "8193 bytes: cut")

    def test_more(self) -> None:
        """Of more sizes the smallest is told in full."""
        self.assertEqual(
            faultsBySize({9: "lost", 7: "cut", 8: "lost"}), "7 bytes: cut; also 8, 9 bytes"
        )


class FileLimitTests(SynchronousTestCase):
    def test_errors(self) -> None:
        """
        The errors of a process without free descriptors are recognized, from the system and from
        Twisted.
        """
        for error in (OSError(EMFILE, "many"), ConnectError(EMFILE), OSError(ENFILE, "many")):
            self.assertTrue(isFileLimit(error))
        for other in (OSError(ENOENT, "none"), ConnectError(), ValueError()):
            self.assertFalse(isFileLimit(other))
