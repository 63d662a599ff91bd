from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import (
    Check,
    CheckResult,
    CheckVerdict,
    ConformanceResult,
    Failed,
    NoAnswer,
    Skipped,
)
from echoproto.conformance.runner import CHECK_TIMEOUT, ConformanceRunner
from echoproto.conformance.suite import ANSWERS


class Asked:
    """What checks ask with: counts its closings."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def check(name: str, outcome: Any, carrier: str = "tcp") -> Check:
    """One that returns, raises or waits for that."""

    async def ask(tester: Any) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Deferred):
            await outcome
        return str(outcome)

    return Check(carrier, name, "It is so.", "RFC 862", ask)


class GradingTests(SynchronousTestCase):
    def begin(self, *checks: Check) -> ConformanceRunner:
        self.clock = Clock()
        self.tester = {"tcp": Asked(), "udp": Asked()}
        self.told: list[CheckResult] = []
        grading = ConformanceRunner(
            "tcp://lab1:7",
            self.tester,
            checks,
            self.clock,
            lambda: round(self.clock.seconds() * 1e9),
            self.told.append,
        )
        grading.start()
        return grading

    def verdicts(self, grading: ConformanceRunner) -> list[tuple[CheckVerdict, str]]:
        result: ConformanceResult = self.successResultOf(grading.result)
        self.answered = result.answered
        self.assertEqual(list(result.results), self.told)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return [(each.verdict, each.reason) for each in result.results]

    def test_verdicts(self) -> None:
        """A check passes, fails or is skipped, with what it says; and what it opened is closed."""
        grading = self.begin(
            check(ANSWERS, ""),
            check("sizes", "all of them"),
            check("bytes", Failed("one is wrong")),
            check("half-close", Skipped("not here")),
        )
        self.assertEqual(
            self.verdicts(grading),
            [
                (CheckVerdict.PASSED, ""),
                (CheckVerdict.PASSED, "all of them"),
                (CheckVerdict.FAILED, "one is wrong"),
                (CheckVerdict.SKIPPED, "not here"),
            ],
        )
        self.assertEqual(self.tester["tcp"].closed, 4)
        self.assertTrue(self.answered)

    def test_silent(self) -> None:
        """Where nobody answers on a carrier nothing more is tester on it."""
        grading = self.begin(
            check(ANSWERS, NoAnswer("refused")),
            check("bytes", ""),
            check(ANSWERS, "", "udp"),
            check("bytes", "", "udp"),
        )
        self.assertEqual(
            self.verdicts(grading),
            [
                (CheckVerdict.FAILED, "refused"),
                (CheckVerdict.SKIPPED, "the server does not answer"),
                (CheckVerdict.PASSED, ""),
                (CheckVerdict.PASSED, ""),
            ],
        )
        self.assertTrue(self.answered)
        self.verdicts(self.begin(check(ANSWERS, NoAnswer("refused"))))
        self.assertFalse(self.answered)

    def test_noEcho(self) -> None:
        """A wrong answer is one: the other checks tell more of it."""
        grading = self.begin(check(ANSWERS, Failed("it is wrong")), check("bytes", ""))
        self.assertEqual(
            self.verdicts(grading),
            [(CheckVerdict.FAILED, "it is wrong"), (CheckVerdict.PASSED, "")],
        )
        self.assertTrue(self.answered)

    def test_limit(self) -> None:
        """A check that does not end is ended, and the next one tester."""
        waiting: Deferred[None] = Deferred()
        grading = self.begin(check("never reads", waiting), check("bytes", ""))
        self.assertEqual(grading.progress, "0 of 2 checks, never reads")
        self.assertEqual(grading.share, 0.0)
        self.clock.advance(CHECK_TIMEOUT)
        self.assertEqual(
            self.verdicts(grading),
            [(CheckVerdict.FAILED, "not finished within 60 s"), (CheckVerdict.PASSED, "")],
        )
        self.assertEqual(self.told[0].duration, CHECK_TIMEOUT * 1e9)
        self.assertEqual((grading.progress, grading.share), ("2 of 2 checks", 1.0))

    def test_stopped(self) -> None:
        """Cancelled, the rest is skipped, and what is open is closed."""
        grading = self.begin(check(ANSWERS, ""), check("large", Deferred()), check("bytes", ""))
        grading.result.cancel()
        self.assertEqual(
            self.verdicts(grading),
            [(CheckVerdict.PASSED, ""), *[(CheckVerdict.SKIPPED, "stopped")] * 2],
        )
        self.assertEqual(self.tester["tcp"].closed, 2)
        grading.stop()

    def test_broken(self) -> None:
        """What has nothing to do with echoes fails it."""
        grading = self.begin(check(ANSWERS, ValueError("no such certificate")))
        self.failureResultOf(grading.result, ValueError)
