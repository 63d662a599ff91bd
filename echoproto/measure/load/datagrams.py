"""
UDP in a load: datagrams with sequence numbers, and the port that sends them.

Replies may be lost, duplicated, late, damaged and in any order, so they are matched by content;
see :mod:`.connections` for streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from struct import Struct

from zope.interface import implementer

from echoproto.client.targets.failures import sendErrorReason
from echoproto.client.targets.interfaces import IChannel, IReplyReceiver
from echoproto.errors import EchoprotoError
from echoproto.measure.load.loops import Loop
from echoproto.measure.load.pool import NO_REPLY

_HEADER = Struct("!4sI")

#: Bytes of the session number, and of a whole header: the minimum size of a datagram.
SESSION_SIZE = 4
MINIMUM_SIZE = _HEADER.size

#: Sequence numbers repeat after this many.
_NUMBERS = 1 << 32

#: Bytes of given-up datagrams that each flow remembers, so that their late replies are counted.
MAX_REMEMBERED_BYTES = 1 << 20

#: Bytes of memory for the datagrams of an open loop that wait for their replies on a port, and
#: those that one takes in addition to its content.
MAX_AWAITED_BYTES = 1 << 24
DATAGRAM_OVERHEAD = 300

#: Datagrams whose numbers each flow remembers at least, so that it can tell their duplicates from
#: replies to another port.
MAX_NUMBERS = 512


def numberedDatagrams(session: bytes, bodies: Sequence[bytes]) -> Iterator[bytes]:
    """
    Generate datagrams without end.

    :param session: four bytes that identify this run.
    :param bodies: the contents after the header; repeated.
    """
    return (
        _HEADER.pack(session, number % _NUMBERS) + bodies[number % len(bodies)]
        for number in count()
    )


@implementer(IReplyReceiver)
class DatagramFlow:
    """The datagrams of one UDP port that is connected to the target."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # When each datagram was due and when it was sent, in the order of sending.
        self._awaited: dict[bytes, tuple[int, int]] = {}
        self._givenUp: dict[bytes, tuple[int, int]] = {}
        self._rememberedBytes = 0
        # Number of datagrams that could not be sent since the last check of timeouts.
        self._unsent = 0
        self._longest = 0
        # When the network last reported an error, which is the reason of the losses until then.
        self._failedAt = -1
        # Header of the last one.
        self._last = b""
        # Headers of the last ones, of those before, and the first of these.
        self._recent: set[bytes] = set()
        self._earlier: set[bytes] = set()
        self._first = b""

    @property
    def underWay(self) -> int:
        """See :class:`~.pool.LoadConnection`."""
        return len(self._awaited) + self._unsent

    @property
    def isReady(self) -> bool:
        """See :class:`~.pool.LoadConnection`."""
        return len(self._awaited) * (self._longest + DATAGRAM_OVERHEAD) < MAX_AWAITED_BYTES

    @property
    def dropped(self) -> int:
        """See :class:`~.pool.LoadConnection`."""
        return self._channel.dropped()

    def opened(self, channel: IChannel) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._channel = channel

    def send(self, message: bytes, due: int, now: int) -> None:
        """
        See :class:`~.pool.LoadConnection`. A datagram that the kernel does not accept is lost; in
        a closed loop the next check of timeouts sends another.
        """
        header = self._last = message[:MINIMUM_SIZE]
        if len(self._recent) >= MAX_NUMBERS:
            self._earlier, self._recent, self._first = self._recent, set(), min(self._recent)
        self._recent.add(header)
        self._longest = max(self._longest, len(message))
        self._loop.sent(len(message), due, now)
        try:
            self._channel.send(message)
        except (OSError, EchoprotoError) as error:
            self._unsent += 1
            self._loop.warn(sendErrorReason(error))
        else:
            self._awaited[message] = due, now

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        now = self._loop.monotonicNs()
        times = self._awaited.pop(reply, None)
        if times is not None:
            self._loop.answered(self, len(reply), *times, now, True)
        elif reply in self._givenUp:
            # Another datagram was sent in its place already.
            self._rememberedBytes -= len(reply)
            self._loop.count(len(reply), *self._givenUp.pop(reply), now, True)
            self._loop.finished()
        else:
            self._unexpectedReply(reply, now)

    def _unexpectedReply(self, reply: bytes, now: int) -> None:
        """Count a damaged, duplicate or foreign datagram."""
        message = self._originalOf(reply)
        if message is not None:
            self._loop.answered(self, len(reply), *self._awaited.pop(message), now, False)
        elif self._isDuplicate(reply):
            self._loop.counters.counts.duplicates += 1
        else:
            self._loop.counters.foreign(len(reply))

    def _originalOf(self, reply: bytes) -> bytes | None:
        """Find the datagram of a damaged reply: by its header or, if that is unknown, its body."""
        header, body = reply[:MINIMUM_SIZE], reply[MINIMUM_SIZE:]
        for message in self._awaited:
            if message[:MINIMUM_SIZE] == header:
                return message
        if body and not self._isPast(reply):
            return next((sent for sent in self._awaited if sent[MINIMUM_SIZE:] == body), None)
        return None

    def _isDuplicate(self, reply: bytes) -> bool:
        """Whether this flow has sent a datagram with this header, as far as it remembers."""
        header = reply[:MINIMUM_SIZE]
        isKnown = header in self._recent or header in self._earlier
        return isKnown or (self._isPast(reply) and header < self._first)

    def _isPast(self, reply: bytes) -> bool:
        """Whether this flow or another one has sent a datagram with this header."""
        header, size = reply[:MINIMUM_SIZE], SESSION_SIZE
        return bool(self._last) and header[:size] == self._last[:size] and header <= self._last

    def giveUp(self, before: int, now: int) -> None:
        """See :class:`~.pool.LoadConnection`; a closed loop sends others in their place."""
        unsent, self._unsent = self._unsent, 0
        for _ in range(unsent):
            self._loop.settled(self, now)
        while self._awaited:
            message = next(iter(self._awaited))
            sentAt = self._awaited[message][1]
            if sentAt > before:
                return
            if sentAt > self._failedAt:
                self._loop.warn(NO_REPLY)
            self._givenUp[message] = self._awaited.pop(message)
            self._rememberedBytes += len(message)
            while self._rememberedBytes > MAX_REMEMBERED_BYTES:
                oldest = next(iter(self._givenUp))
                self._rememberedBytes -= len(oldest)
                del self._givenUp[oldest]
            self._loop.settled(self, now)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`; the port stays open."""
        self._failedAt = self._loop.monotonicNs()
        self._loop.warn(reason)

    def close(self) -> None:
        """See :class:`~.pool.LoadConnection`."""
        self._channel.close()
