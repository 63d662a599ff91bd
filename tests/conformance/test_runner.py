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
    ReasonCode,
    Skipped,
)
from echoproto.conformance.runner import CHECK_TIMEOUT, ConformanceRunner
from echoproto.conformance.suite import ANSWERS


class FakeTester:
    """A fake tester that counts calls of close()."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def check(name: str, outcome: Any, carrier: str = "tcp") -> Check:
    """Make a check that returns the outcome, raises it or waits for it."""

    async def run(tester: Any) -> str:
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Deferred):
            await outcome
        return str(outcome)

    return Check(carrier, name, "It is so.", "RFC 862", run)


class RunnerTests(SynchronousTestCase):
    def begin(self, *checks: Check) -> ConformanceRunner:
        self.clock = Clock()
        self.testers = {"tcp": FakeTester(), "udp": FakeTester()}
        self.reported: list[CheckResult] = []
        runner = ConformanceRunner(
            "tcp://lab1:7",
            self.testers,
            checks,
            self.clock,
            lambda: round(self.clock.seconds() * 1e9),
            self.reported.append,
        )
        runner.start()
        return runner

    def verdicts(self, runner: ConformanceRunner) -> list[tuple[CheckVerdict, str]]:
        result: ConformanceResult = self.successResultOf(runner.result)
        self.answered = result.answered
        self.assertEqual(list(result.results), self.reported)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return [(outcome.verdict, outcome.reason) for outcome in result.results]

    def test_verdicts(self) -> None:
        """Passed, failed and skipped checks have a verdict and a reason, and close their tester."""
        runner = self.begin(
            check(ANSWERS, ""),
            check("sizes", "all of them"),
            check("bytes", Failed("one is wrong")),
            check("half-close", Skipped("not here")),
        )
        self.assertEqual(
            self.verdicts(runner),
            [
                (CheckVerdict.PASSED, ""),
                (CheckVerdict.PASSED, "all of them"),
                (CheckVerdict.FAILED, "one is wrong"),
                (CheckVerdict.SKIPPED, "not here"),
            ],
        )
        codes = [outcome.code for outcome in self.reported]
        self.assertEqual(codes, [None, None, ReasonCode.NONCONFORMING, ReasonCode.NOT_POSSIBLE])
        self.assertEqual(self.testers["tcp"].closed, 4)
        self.assertTrue(self.answered)

    def test_silent(self) -> None:
        """If the first check gets no answer, the other checks of that carrier are skipped."""
        runner = self.begin(
            check(ANSWERS, NoAnswer("refused")),
            check("bytes", ""),
            check(ANSWERS, "", "udp"),
            check("bytes", "", "udp"),
        )
        self.assertEqual(
            self.verdicts(runner),
            [
                (CheckVerdict.FAILED, "refused"),
                (CheckVerdict.SKIPPED, "the server does not answer"),
                (CheckVerdict.PASSED, ""),
                (CheckVerdict.PASSED, ""),
            ],
        )
        codes = [outcome.code for outcome in self.reported]
        self.assertEqual(codes, [ReasonCode.NO_ANSWER, ReasonCode.SILENT_SERVER, None, None])
        self.assertTrue(self.answered)
        self.verdicts(self.begin(check("bytes", NoAnswer("refused"))))
        self.assertTrue(self.answered)
        self.verdicts(self.begin(check(ANSWERS, NoAnswer("refused"))))
        self.assertFalse(self.answered)

    def test_noEcho(self) -> None:
        """After a wrong answer to the first check, the other checks still run."""
        runner = self.begin(check(ANSWERS, Failed("it is wrong")), check("bytes", ""))
        self.assertEqual(
            self.verdicts(runner),
            [(CheckVerdict.FAILED, "it is wrong"), (CheckVerdict.PASSED, "")],
        )
        self.assertTrue(self.answered)

    def test_limit(self) -> None:
        """A check that exceeds its time limit fails, and the next one runs."""
        waiting: Deferred[None] = Deferred()
        runner = self.begin(check("never reads", waiting), check("bytes", ""))
        self.assertEqual(runner.progress, "0 of 2 checks, never reads")
        self.assertEqual(runner.share, 0.0)
        self.clock.advance(CHECK_TIMEOUT)
        self.assertEqual(
            self.verdicts(runner),
            [(CheckVerdict.FAILED, "not finished within 60 s"), (CheckVerdict.PASSED, "")],
        )
        self.assertEqual(self.reported[0].code, ReasonCode.TIMEOUT)
        self.assertEqual(self.reported[0].duration, CHECK_TIMEOUT * 1e9)
        self.assertEqual((runner.progress, runner.share), ("2 of 2 checks", 1.0))

    def test_stopped(self) -> None:
        """When cancelled, the remaining checks are skipped and open connections are closed."""
        runner = self.begin(check(ANSWERS, ""), check("large", Deferred()), check("bytes", ""))
        runner.result.cancel()
        self.assertEqual(
            self.verdicts(runner),
            [(CheckVerdict.PASSED, ""), *[(CheckVerdict.SKIPPED, "stopped")] * 2],
        )
        self.assertEqual(self.reported[2].code, ReasonCode.STOPPED)
        self.assertEqual(self.testers["tcp"].closed, 2)
        runner.stop()

    def test_broken(self) -> None:
        """An unexpected exception in a check fails the whole run."""
        runner = self.begin(check(ANSWERS, ValueError("no such certificate")))
        self.failureResultOf(runner.result, ValueError)
