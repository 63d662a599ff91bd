"""
A time limit that counts nothing against a server while this process itself was late.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
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
    # All of a clock that addTimeout() needs.
    limit: Any = SimpleNamespace(callLater=partial(DeadlineCall, clock))
    return waiting.addTimeout(seconds, limit, tooLate)
