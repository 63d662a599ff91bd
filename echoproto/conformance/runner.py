"""
Runs one check after the other, each in bounded time. Knows no carrier: the testers are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

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
from echoproto.conformance.suite import ANSWERS

#: Seconds that one check may take.
CHECK_TIMEOUT = 60.0


class Tester(Protocol):
    """The test client of a carrier."""

    def close(self) -> None:
        """Close everything that a check has opened."""


class ConformanceRunner:
    """
    The checks of one server; a :class:`~echoproto.client.measurement.Measurement`.

    :param target: the server's name.
    :param testers: the test client of each carrier; closed after every check.
    :param checks: in order.
    :param clock: measures the time limit of each check.
    :param monotonicNs: the monotonic time in nanoseconds.
    :param onResult: called with the result of each check.
    :ivar result: fires with a :class:`~.results.ConformanceResult`; fails if the server can never
        be checked, for example because its certificate is not trusted. If cancelled, it fires: the
        remaining checks are skipped.
    """

    def __init__(
        self,
        target: str,
        testers: Mapping[str, Tester],
        checks: Sequence[Check],
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        onResult: Callable[[CheckResult], None] = lambda result: None,
    ) -> None:
        self.target = target
        self.result: Deferred[ConformanceResult] = Deferred(lambda _: self.stop())
        self._testers = testers
        self._checks = checks
        self._clock = clock
        self._monotonicNs = monotonicNs
        self._onResult = onResult
        self._results: list[CheckResult] = []
        self._silent: set[str] = set()
        self._stopped = False
        self._running: Deferred[str | None] | None = None

    @property
    def progress(self) -> str:
        """The progress in words."""
        done, total = len(self._results), len(self._checks)
        name = f", {self._checks[done].name}" if done < total else ""
        return f"{done} of {total} checks{name}"

    @property
    def share(self) -> float:
        """The progress from 0 to 1."""
        return len(self._results) / len(self._checks)

    def start(self) -> None:
        """Begin. Called once."""
        Deferred.fromCoroutine(self._run()).addCallbacks(self.result.callback, self.result.errback)

    def stop(self) -> None:
        """End early; the remaining checks are skipped."""
        self._stopped = True
        if self._running is not None:
            self._running.cancel()

    async def _run(self) -> ConformanceResult:
        for check in self._checks:
            began = self._monotonicNs()
            verdict, code, reason = await self._verdict(check)
            result = CheckResult(check, verdict, reason, self._monotonicNs() - began, code)
            self._results.append(result)
            self._onResult(result)
        ran = [result for result in self._results if result.verdict is not CheckVerdict.SKIPPED]
        answered = any(result.check.carrier not in self._silent for result in ran)
        return ConformanceResult(self.target, tuple(self._results), answered)

    async def _verdict(self, check: Check) -> tuple[CheckVerdict, ReasonCode | None, str]:
        if self._stopped:
            return CheckVerdict.SKIPPED, ReasonCode.STOPPED, "stopped"
        if check.carrier in self._silent:
            reason = "the server does not answer"
            return CheckVerdict.SKIPPED, ReasonCode.SILENT_SERVER, reason
        try:
            return CheckVerdict.PASSED, None, await self._call(check) or ""
        except Skipped as skipped:
            return CheckVerdict.SKIPPED, ReasonCode.NOT_POSSIBLE, str(skipped)
        except CancelledError:
            return CheckVerdict.SKIPPED, ReasonCode.STOPPED, "stopped"
        except NoAnswer as silence:
            if check.name == ANSWERS:
                self._silent.add(check.carrier)
            return CheckVerdict.FAILED, ReasonCode.NO_ANSWER, str(silence)
        except Failed as failed:
            return CheckVerdict.FAILED, ReasonCode.NONCONFORMING, str(failed)
        except TimeoutError:
            reason = f"not finished within {CHECK_TIMEOUT:g} s"
            return CheckVerdict.FAILED, ReasonCode.TIMEOUT, reason

    async def _call(self, check: Check) -> str | None:
        tester = self._testers[check.carrier]
        self._running = Deferred.fromCoroutine(check.function(tester))
        try:
            return await self._running.addTimeout(CHECK_TIMEOUT, self._clock)
        finally:
            self._running = None
            tester.close()
