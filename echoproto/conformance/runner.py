"""
Asks one check after the other, each in bounded time, and grades what comes of it.

Called by :func:`echoproto.measure.grade`. Knows no carrier: what a check asks with is made by who calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from echoproto.conformance.results import (
    Check,
    CheckResult,
    CheckVerdict,
    ConformanceResult,
    Failed,
    NoAnswer,
    Skipped,
)
from echoproto.conformance.suite import ANSWERS

#: Seconds that one check may take.
LIMIT = 60.0


class ConformanceRunner:
    """
    A battery of checks of one server.

    :param target: its name.
    :param asked: what the checks of each carrier ask with; closed after each.
    :param checks: in order.
    :param clock: keeps the time of each check.
    :param now: the time in nanoseconds, which never goes back.
    :param tell: called with each grade.
    :ivar result: fires with a :class:`~.results.ConformanceResult`; fails with what has nothing to do with echoes, such as a certificate that
        is not trusted. Cancelled, it fires with what there is: the rest is skipped.
    """

    def __init__(
        self,
        target: str,
        asked: Mapping[str, Any],
        checks: Sequence[Check],
        clock: IReactorTime,
        now: Callable[[], int],
        tell: Callable[[CheckResult], None] = lambda grade: None,
    ) -> None:
        self.target = target
        self.result: Deferred[ConformanceResult] = Deferred(lambda _: self.stop())
        self._asked = asked
        self._checks = checks
        self._clock = clock
        self._now = now
        self._tell = tell
        self._grades: list[CheckResult] = []
        self._silent: set[str] = set()
        self._stopped = False
        self._asking: Deferred[str] | None = None

    @property
    def progress(self) -> str:
        """How far it has come, in some words."""
        done, all_ = len(self._grades), len(self._checks)
        return f"{done} of {all_} checks" + (f", {self._checks[done].name}" if done < all_ else "")

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return len(self._grades) / len(self._checks)

    def start(self) -> None:
        """Begin."""
        Deferred.fromCoroutine(self._run()).addCallbacks(self.result.callback, self.result.errback)

    def stop(self) -> None:
        """Ask nothing more; what is not done is skipped."""
        self._stopped = True
        if self._asking is not None:
            self._asking.cancel()

    async def _run(self) -> ConformanceResult:
        for check in self._checks:
            began = self._now()
            verdict, reason = await self._verdict(check)
            grade = CheckResult(check, verdict, reason, self._now() - began)
            self._grades.append(grade)
            self._tell(grade)
        asked = {
            each.check.carrier for each in self._grades if each.verdict is not CheckVerdict.SKIPPED
        }
        return ConformanceResult(self.target, tuple(self._grades), bool(asked - self._silent))

    async def _verdict(self, check: Check) -> tuple[CheckVerdict, str]:
        if self._stopped:
            return CheckVerdict.SKIPPED, "stopped"
        if check.carrier in self._silent:
            return CheckVerdict.SKIPPED, "it does not answer"
        try:
            return CheckVerdict.PASSED, await self._ask(check)
        except Skipped as skipped:
            return CheckVerdict.SKIPPED, str(skipped)
        except CancelledError:
            return CheckVerdict.SKIPPED, "stopped"
        except Failed as failed:
            if check.name == ANSWERS and isinstance(failed, NoAnswer):
                self._silent.add(check.carrier)
            return CheckVerdict.FAILED, str(failed)
        except TimeoutError:
            return CheckVerdict.FAILED, f"not over in {LIMIT:g} s"

    async def _ask(self, check: Check) -> str:
        asked = self._asked[check.carrier]
        self._asking = Deferred.fromCoroutine(check.ask(asked))
        try:
            return await self._asking.addTimeout(LIMIT, self._clock)
        finally:
            self._asking = None
            asked.close()
