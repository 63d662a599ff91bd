"""
The delayed calls of one measurement, so that all can be cancelled when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime

from echoproto.protocols.deadlines import DeadlineCall
from echoproto.text.units import SECOND


class Timers:
    """
    Delayed calls.

    :param clock: makes them.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: set[Any] = set()
        self._isOver = False

    def later(self, time: int, call: Callable[..., object], *arguments: object) -> None:
        """Call in ``time`` nanoseconds; never after :meth:`end`."""
        self._add(self._clock.callLater, time, partial(call, *arguments))

    def limit(self, time: int, call: Callable[[], object]) -> None:
        """As :meth:`later`; but what has arrived by then is read first (:class:`DeadlineCall`)."""
        self._add(partial(DeadlineCall, self._clock), time, call)

    def _add(self, callLater: Callable[..., object], time: int, call: Callable[[], object]) -> None:
        def run() -> None:
            self._calls.discard(delayed)
            call()

        if not self._isOver:
            delayed = callLater(time / SECOND, run)
            self._calls.add(delayed)

    def end(self) -> None:
        """Cancel all calls, and make no more."""
        self._isOver = True
        for call in self._calls:
            call.cancel()
        self._calls.clear()
