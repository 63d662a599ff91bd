"""
The delayed calls of one measurement, so that all can be cancelled when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.units import SECOND

P = ParamSpec("P")


class Timers:
    """
    Delayed calls.

    :param clock: makes them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: set[IDelayedCall] = set()
        self._isOver = False

    def later(
        self, time: int, call: Callable[P, object], *arguments: P.args, **named: P.kwargs
    ) -> IDelayedCall | None:
        """Call in ``time`` nanoseconds; never after :meth:`end`."""
        if self._isOver:
            return None
        delayed: IDelayedCall

        def run() -> None:
            self._calls.discard(delayed)
            call(*arguments, **named)

        delayed = self._clock.callLater(time / SECOND, run)
        self._calls.add(delayed)
        return delayed

    def cancel(self, call: IDelayedCall | None) -> None:
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
