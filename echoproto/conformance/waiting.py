"""
Something that may come, and is awaited with patience. Used by :mod:`.streamclient` and :mod:`.udpclient`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Event:
    """
    What is awaited, again and again, by one at a time.

    :param clock: keeps the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._awaited: Deferred[bool] | None = None

    def tell(self) -> None:
        """Something has come."""
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.callback(True)

    def wait(self, seconds: float) -> Deferred[bool]:
        """
        Wait until something comes.

        :return: fires with whether it has, within so many seconds.
        """
        self._awaited = Deferred()
        return self._awaited.addTimeout(seconds, self._clock, lambda *_: False)
