"""
The calls that one measurement has yet to make, so that none is left when it ends.

Times are in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.units import SECOND


class Timers:
    """
    Calls that are to be made later.

    :param clock: makes them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: set[IDelayedCall] = set()
        self._over = False

    def later(self, time: int, call: Callable[..., Any], *arguments: Any) -> IDelayedCall | None:
        """Call in so many nanoseconds; not at all when it is over."""
        if self._over:
            return None
        made: IDelayedCall

        def run() -> None:
            self._calls.discard(made)
            call(*arguments)

        made = self._clock.callLater(time / SECOND, run)
        self._calls.add(made)
        return made

    def cancel(self, call: IDelayedCall | None) -> None:
        """Call it no more, if it has not been called."""
        if call in self._calls:
            self._calls.discard(call)
            call.cancel()

    def end(self) -> None:
        """Call none any more."""
        self._over = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()
