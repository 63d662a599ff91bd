"""
Deadlines that count nothing against a peer while this process itself was late.

A process that was stopped (SIGSTOP, ``docker pause``), migrated with its virtual machine, or
blocked in one turn of the reactor finds its timers due before it has read its sockets: data that
arrived in time looks like silence. So a deadline reads first and judges later.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds that a timed call may be late before the process counts as held up.
LATENESS = 0.1

#: Seconds in which a process that was held up reads and answers before it judges: enough for some
#: round trips, such as those of a TLS handshake.
CATCH_UP = 1.0


class DeadlineCall:
    """
    A timed call that is made after all data that arrived until it was due has been read.

    It is made one turn of the reactor later than an ordinary one, which reads the sockets in
    between; if it is late because the process was held up, :data:`CATCH_UP` seconds later.

    :param clock: schedules it; the reactor, or a ``Clock`` in tests.
    :param seconds: the time until it is due.
    :param act: called with ``arguments``.
    :ivar expiredAt: the clock's time when the deadline expired, by which ``act`` should judge.
    """

    expiredAt = 0.0

    def __init__(
        self,
        clock: IReactorTime,
        seconds: float,
        act: Callable[..., object],
        *arguments: object,
    ) -> None:
        self._clock = clock
        self._act = act
        self._arguments = arguments
        self._schedule(seconds)

    def _schedule(self, seconds: float) -> None:
        self._due = self._clock.seconds() + seconds
        self._call: IDelayedCall = self._clock.callLater(seconds, self._expired)

    def _expired(self) -> None:
        self.expiredAt = self._clock.seconds()
        delay = CATCH_UP if self.expiredAt > self._due + LATENESS else 0
        self._call = self._clock.callLater(delay, self._act, *self._arguments)

    def active(self) -> bool:
        """Whether it will still be made."""
        return bool(self._call.active())

    def cancel(self) -> None:
        """Do not make it; see ``IDelayedCall``."""
        self._call.cancel()

    def stop(self) -> None:
        """Do not make it, unless it was made or cancelled already."""
        if self.active():
            self.cancel()

    def reset(self, seconds: float) -> None:
        """Make it ``seconds`` from now instead; see ``IDelayedCall``."""
        self._call.cancel()
        self._schedule(seconds)
