"""
The lag of the event loop: the time that every client of a busy or blocked program waits, and cannot
distinguish from the network's delay.

A service of its own, started with the program.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from echoproto.status.histogram import Histogram

#: Seconds between two measurements. A usual scrape every 15 s then rests on thirty of them, and an
#: idle program wakes up no more than twice a second.
INTERVAL = 0.5

#: Bounds in seconds, each three times the one before: below the first the system's own timers are
#: as late, above the last clients have given up.
BOUNDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class LoopLag(Service):
    """
    While running, schedules a call every :data:`INTERVAL` seconds and measures how late it is made.

    A block shorter than the interval may fall between two measurements; of many such blocks, a fair
    share is measured.

    :param clock: schedules the calls; the reactor, or a ``Clock`` in tests.
    :ivar histogram: all delays, in seconds, since the program began.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.histogram = Histogram(BOUNDS)
        self._clock = clock
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Begin to measure."""
        Service.startService(self)
        self._schedule()

    def stopService(self) -> None:
        """Stop; nothing is left scheduled. The figures stay."""
        Service.stopService(self)
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._next = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        # A clock that was set back makes the call early.
        self.histogram.add(max(0.0, self._clock.seconds() - self._due))
        self._schedule()
