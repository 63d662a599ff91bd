"""A time to wait that a signal can end."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Pause:
    """
    A wait that can be ended early.

    :param clock: measures it; the reactor, or a ``Clock`` in tests.
    """

    _call: IDelayedCall

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._over: Deferred[None] | None = None

    def begin(self, seconds: float) -> Deferred[None]:
        """
        Begin a pause; the one before must have ended.

        :return: fires with ``None`` after this time, or at :meth:`end`.
        """
        if seconds <= 0:
            return succeed(None)
        self._over = Deferred()
        self._call = self._clock.callLater(seconds, self.end)
        return self._over

    def end(self) -> bool:
        """End the pause now; returns whether there was one."""
        over, self._over = self._over, None
        if over is None:
            return False
        if self._call.active():
            self._call.cancel()
        over.callback(None)
        return True
