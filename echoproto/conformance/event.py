"""An event that a check can wait for, with a timeout."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.client.timelimit import limitTime


class Event:
    """
    Something that happens again and again; one coroutine at a time waits for it.

    :param clock: measures the timeout.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: Deferred[bool] | None = None

    def set(self) -> None:
        """It has happened."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(True)

    def wait(self, timeout: float) -> Deferred[bool]:
        """
        Wait until it happens.

        :return: fires with whether it has happened within ``timeout`` seconds.
        """
        self._waiting = Deferred()
        return limitTime(self._waiting, timeout, self._clock, lambda *_: False)
