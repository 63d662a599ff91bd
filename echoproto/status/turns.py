"""
Long texts, made in many short turns of the event loop so that they delay nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure

#: Seconds of processor time of a turn, after which it is over with the part that is being made.
TURN_TIME = 0.008

#: Or more, up to this share of the time since the last turn: if the event loop is so busy that its
#: turns are long anyway, the text must not need many of them.
MAX_TURN_SHARE = 0.1

#: Requests that may wait for one text: all of them are then sent it at once.
MAX_WAITING = 16


class TooManyRequests(Exception):
    """So many requests wait for a text already."""


class GradualText:
    """
    A text that is made on request, once for all who wait for it.

    :param clock: calls later.
    :param make: makes the parts of the text, each in a short time; they may be empty.
    :param used: the processor time that this thread has used, in seconds.
    """

    def __init__(
        self,
        clock: IReactorTime,
        make: Callable[[], Iterator[bytes]],
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._make = make
        self._used = used
        self._clock = clock
        self._turnAt = 0.0
        self._cooperator = Cooperator(self._newTurn, partial(clock.callLater, 0))
        self._waiting: list[Deferred[bytes]] = []

    def _newTurn(self) -> Callable[[], bool]:
        """Begin a turn; returns whether it is over."""
        before, self._turnAt = self._turnAt, self._clock.seconds()
        # Not the time of the wall clock: on a busy machine a turn would have one part only.
        end = self._used() + max(TURN_TIME, MAX_TURN_SHARE * (self._turnAt - before))
        return lambda: self._used() >= end

    def request(self) -> Deferred[bytes]:
        """
        The text; that which is being made, if there is one.

        :return: fails with :class:`TooManyRequests` if :data:`MAX_WAITING` wait already.
        """
        if len(self._waiting) == MAX_WAITING:
            return fail(TooManyRequests())
        waiting: Deferred[bytes] = Deferred()
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            parts: list[bytes] = []
            self._turnAt = self._clock.seconds()
            made = self._cooperator.coiterate(self._turns(parts))
            made.addCallback(lambda _: b"".join(parts)).addBoth(self._finished)
        return waiting

    def _turns(self, parts: list[bytes]) -> Iterator[None]:
        for part in self._make():
            parts.append(part)
            yield

    def _finished(self, result: bytes | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(result)
