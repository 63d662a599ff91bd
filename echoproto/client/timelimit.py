"""
A time limit that counts nothing against a server while this process itself was late.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from echoproto.protocols.deadlines import DeadlineCall

_Result = TypeVar("_Result")


def limitTime(
    waiting: Deferred[_Result],
    seconds: float,
    clock: IReactorTime,
    tooLate: Callable[[_Result | Failure, float], _Result | Failure],
) -> Deferred[_Result]:
    """
    Cancel a Deferred after ``seconds``; see ``Deferred.addTimeout``.

    :param tooLate: its ``onTimeoutCancel``.
    :return: ``waiting``.
    """
    limit: Any = _DeadlineClock(clock)  # all that addTimeout needs
    return waiting.addTimeout(seconds, limit, tooLate)


class _DeadlineClock:
    """Makes each timed call a :class:`DeadlineCall`."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def callLater(
        self, seconds: float, act: Callable[..., object], *arguments: object
    ) -> DeadlineCall:
        """See ``IReactorTime``."""
        return DeadlineCall(self._clock, seconds, act, *arguments)
