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


async def run(tester: object) -> str:
    return ""


class ResultTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """A result counts its checks by verdict, and lists the failed ones."""
        check = Check("tcp", "bytes", "All come back.", "RFC 862", run)
        results = [
            CheckResult(check, verdict, "", 1)
            for verdict in (CheckVerdict.PASSED, CheckVerdict.FAILED, CheckVerdict.PASSED)
        ]
        result = ConformanceResult("tcp://lab1:7", results, True)
        self.assertEqual([result.count(verdict) for verdict in CheckVerdict], [2, 1, 0])
        self.assertEqual(result.failed, [results[1]])


class FaultsBySizeTests(SynchronousTestCase):
    def test_one(self) -> None:
        """A fault at one size names the size."""
        self.assertEqual(faultsBySize({8193: "cut"}), "8193 bytes: cut")

    def test_more(self) -> None:
        """Of faults at several sizes, the one at the smallest size is described in full."""
        self.assertEqual(
            faultsBySize({9: "lost", 7: "cut", 8: "lost"}), "7 bytes: cut; also 8, 9 bytes"
        )


class FileLimitTests(SynchronousTestCase):
    def test_errors(self) -> None:
        """Errors for too many open files are recognized, from the system and from Twisted."""
        for error in (OSError(EMFILE, "many"), ConnectError(EMFILE), OSError(ENFILE, "many")):
            self.assertTrue(isFileLimit(error))
        for other in (OSError(ENOENT, "none"), ConnectError(), ValueError()):
            self.assertFalse(isFileLimit(other))
