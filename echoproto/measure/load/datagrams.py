"""
A port from which a load sends datagrams: they may be lost, come twice, late, damaged and in any order.

Made by :mod:`.generator`, which gives up those that do not come; their bytes are those of :mod:`.datagrams`. See :mod:`.connections` for streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from struct import Struct
from typing import Any

from zope.interface import implementer

from echoproto.measure.load.connections import OpenLoop
from echoproto.targets.interfaces import IReplyReceiver

#: Bytes of datagrams that were given up, the last ones, which each lane knows when they come after all.
REMEMBERED = 1 << 20


@implementer(IReplyReceiver)
class DatagramFlow:
    """A port that is connected to the target."""

    def __init__(self, loop: OpenLoop) -> None:
        self._loop = loop
        # By the datagram: when it should have been sent, and when it was; in their order.
        self._awaited: dict[bytes, tuple[int, int]] = {}
        self._givenUp: dict[bytes, tuple[int, int]] = {}
        self._remembered = 0
        # The number of the last one, behind that of the session.
        self._last = b""

    @property
    def underWay(self) -> int:
        """Datagrams whose replies are awaited."""
        return len(self._awaited)

    def opened(self, channel: Any) -> None:
        """It leads somewhere."""
        self._channel = channel

    def send(self, message: bytes, due: int, now: int) -> None:
        """Send a datagram that should have been sent when it was ``due``."""
        self._last = message[:MINIMUM_SIZE]
        self._awaited[message] = due, now
        self._loop.sent(len(message), due, now)
        self._channel.send(message)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`."""
        now = self._loop.now()
        times = self._awaited.pop(reply, None)
        if times is not None:
            self._loop.answered(self, len(reply), *times, now, True)
        elif reply in self._givenUp:
            # Its place is another's already.
            self._remembered -= len(reply)
            self._loop.count(len(reply), *self._givenUp.pop(reply), now, True)
        else:
            self._odd(reply, now)

    def _odd(self, reply: bytes, now: int) -> None:
        """It is none that is awaited: a damaged one, one that has come before, or nobody's."""
        message = self._damaged(reply)
        if message is not None:
            self._loop.answered(self, len(reply), *self._awaited.pop(message), now, False)
        elif self._hasCome(reply):
            self._loop.tally.counts.duplicates += 1
        else:
            self._loop.tally.foreign(len(reply))

    def _damaged(self, reply: bytes) -> bytes | None:
        """The one that it should be: its number tells, or what stands behind that where its number is none of ours."""
        number, rest = reply[:MINIMUM_SIZE], reply[MINIMUM_SIZE:]
        for each in self._awaited:
            if each[:MINIMUM_SIZE] == number:
                return each
        if rest and not self._hasCome(reply):
            return next((each for each in self._awaited if each[MINIMUM_SIZE:] == rest), None)
        return None

    def _hasCome(self, reply: bytes) -> bool:
        """Whether it has a number of ours: then it has come before, or so late that it is forgotten."""
        number = reply[:MINIMUM_SIZE]
        return (
            bool(self._last) and number[:SESSION] == self._last[:SESSION] and number <= self._last
        )

    def giveUp(self, before: int, now: int) -> None:
        """Await no longer what was sent before; in a closed loop others are sent in its place."""
        while self._awaited:
            message = next(iter(self._awaited))
            if self._awaited[message][1] > before:
                return
            self._givenUp[message] = self._awaited.pop(message)
            self._remembered += len(message)
            while self._remembered > REMEMBERED:
                oldest = next(iter(self._givenUp))
                self._remembered -= len(oldest)
                del self._givenUp[oldest]
            self._loop.lost(self, now)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.targets.interfaces.IReplyReceiver`; the port still leads there."""
        self._loop.trouble(reason)

    def close(self) -> None:
        """It is over."""
        self._channel.close()


_HEADER = Struct("!4sI")

#: Bytes of the number of the session, and of a datagram at least.
SESSION = 4
MINIMUM_SIZE = _HEADER.size

_ROUND = 1 << 32


def numberedDatagrams(session: bytes, bodies: Sequence[bytes]) -> Iterator[bytes]:
    """
    Datagrams without an end.

    :param session: four bytes that no other session is likely to have.
    :param bodies: what stands behind the numbers, one after the other and again.
    """
    return (
        _HEADER.pack(session, number % _ROUND) + bodies[number % len(bodies)] for number in count()
    )
