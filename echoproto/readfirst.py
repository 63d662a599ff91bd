"""
Time limits in a process that may itself be held up.

After SIGSTOP, a suspend or a long turn, a reactor runs its timers before it reads the sockets, so
replies that have arrived in time would count as missing. A timer that is late therefore waits until
the sockets were read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from twisted.internet.interfaces import IReactorTime

#: Seconds by which a timer is late if the process was held up, not only busy for a moment.
HELD_UP = 0.1

#: Seconds in which a process that was held up reads what has arrived.
READING_TIME = 0.1

P = ParamSpec("P")


class ReadFirst:
    """
    A delayed call, as of ``callLater``, that is postponed by :data:`READING_TIME` if it is late.

    :param clock: calls later.
    :param delay: seconds.
    """

    def __init__(
        self,
        clock: IReactorTime,
        delay: float,
        call: Callable[P, object],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> None:
        self._clock = clock
        # Twisted does not annotate it.
        self._now: Callable[[], float] = clock.seconds
        self._call: Callable[[], object] = lambda: call(*arguments, **named)
        self._schedule(delay)

    def _schedule(self, delay: float) -> None:
        self._due = self._now() + delay
        self._delayed = self._clock.callLater(delay, self._expired)

    def _expired(self) -> None:
        if self._now() - self._due > HELD_UP:
            self._schedule(READING_TIME)
        else:
            self._call()

    def active(self) -> bool:
        """See ``IDelayedCall``."""
        return self._delayed.active()

    def cancel(self) -> None:
        """See ``IDelayedCall``."""
        self._delayed.cancel()
