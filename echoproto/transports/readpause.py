"""
Pauses of a port whose socket fails for a while.

The reactor would try again at once, thousands of times a second, and keep a processor busy. The
pauses grow after each failure, as in Go's net/http; meanwhile the kernel keeps what arrives.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: Seconds until the next attempt after the first failure. Doubled after each further one, because
#: the next attempt may succeed: an error of the network concerns one connection.
FIRST_PAUSE = 0.005

#: The longest pause, in seconds.
LONGEST_PAUSE = 1.0


class ReadPause:
    """
    Stops and resumes the reading of one port.

    :param port: a listening port of Twisted.
    :param clock: measures the pauses; the reactor, or a ``Clock`` in tests.
    :ivar seconds: the next pause; set to :data:`FIRST_PAUSE` after a success.
    """

    # Any: a reading port, of which there is no interface.
    def __init__(self, port: Any, clock: IReactorTime) -> None:
        self._port = port
        self._clock = clock
        self._end: IDelayedCall | None = None
        self.seconds = FIRST_PAUSE

    def begin(self) -> None:
        """Read nothing for a while, after a failure."""
        self._port.stopReading()
        if self._end is None:
            self._end = self._clock.callLater(self.seconds, self._resume)
            self.seconds = min(2 * self.seconds, LONGEST_PAUSE)

    def cancel(self) -> None:
        """The port is closed: schedule nothing any more."""
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def _resume(self) -> None:
        self._end = None
        if not self._port.disconnecting:
            self._port.startReading()
