"""
The delayed calls of one measurement, so that all can be cancelled when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.protocols.deadlines import DeadlineCall
from echoproto.units import SECOND

P = ParamSpec("P")
C = TypeVar("C", IDelayedCall, DeadlineCall)


class Timers:
    """
    Delayed calls.

    :param clock: makes them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: set[IDelayedCall | DeadlineCall] = set()
        self._isOver = False

    def later(
        self, time: int, call: Callable[P, object], *arguments: P.args, **named: P.kwargs
    ) -> IDelayedCall | None:
        """Call in ``time`` nanoseconds; never after :meth:`end`."""
        return self._add(self._clock.callLater, time, lambda: call(*arguments, **named))

    def limit(
        self, time: int, call: Callable[P, object], *arguments: P.args, **named: P.kwargs
    ) -> DeadlineCall | None:
        """As :meth:`later`; but what has arrived by then is read first (:class:`DeadlineCall`)."""
        callLater = partial(DeadlineCall, self._clock)
        return self._add(callLater, time, lambda: call(*arguments, **named))

    def _add(
        self,
        callLater: Callable[[float, Callable[[], None]], C],
        time: int,
        call: Callable[[], object],
    ) -> C | None:
        if self._isOver:
            return None
        delayed: C

        def run() -> None:
            self._calls.discard(delayed)
            call()

        delayed = callLater(time / SECOND, run)
        self._calls.add(delayed)
        return delayed

    def cancel(self, call: IDelayedCall | DeadlineCall | None) -> None:
        """Cancel a call, if it is still pending."""
        if call in self._calls:
            self._calls.discard(call)
            call.cancel()

    def end(self) -> None:
        """Cancel all calls, and make no more."""
        self._isOver = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()
