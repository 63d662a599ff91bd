"""
Ends the seconds of a load, at which its counts are reported.
"""

from __future__ import annotations

from collections.abc import Callable

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.timers import Timers
from echoproto.text.units import SECOND

#: Nanoseconds between two calls, a part of a second: a pause of this process is noticed if it is
#: longer.
TICK = SECOND // 10


class IntervalTimer:
    """
    Ends every second of a load.

    :param counters: the counts.
    :param timers: calls later.
    :param monotonicNs: the time in nanoseconds.
    :ivar heldUp: the longest time by which a call was late, in nanoseconds.
    """

    def __init__(
        self, counters: LoadCounters, timers: Timers, monotonicNs: Callable[[], int]
    ) -> None:
        self.heldUp = self._begin = self._due = 0
        self._counters = counters
        self._timers = timers
        self._monotonicNs = monotonicNs

    def start(self) -> None:
        """Begin to count: what was sent before counts no more."""
        self._begin = self._monotonicNs()
        self._counters.restart(self._begin)
        self._due = self._begin + TICK
        self._timers.later(TICK, self._tick)

    def _tick(self) -> None:
        """End a second if it is over, or several after a pause of this process."""
        now = self._monotonicNs()
        self.heldUp = max(self.heldUp, now - self._due)
        while self._begin + SECOND <= now:
            self._begin += SECOND
            self._counters.closeInterval()
        self._due += ((now - self._due) // TICK + 1) * TICK
        self._timers.later(self._due - now, self._tick)
