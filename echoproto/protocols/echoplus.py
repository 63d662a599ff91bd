"""
UDPEchoPlus, the echo service with counters and times of Broadband Forum TR-143 (Appendix A.1).

A datagram begins with six unsigned numbers of 32 bits in network byte order; the rest is returned
unchanged:

============================= =======================================================
``TestGenSN``                 number of the request, set by the client
``TestRespSN``                number of replies to this client before this one
``TestRespRecvTimeStamp``     when the request was received, in microseconds
``TestRespReplyTimeStamp``    when the reply was sent, on the same clock
``TestRespReplyFailureCount`` number of replies that could not be sent
``TestIterationNumber``       set by the client; missing in Issue 1
============================= =======================================================

The server sets the four in the middle. Its times are those of any clock, and wrap around every 71
minutes. A datagram that is too short for them is echoed as RFC 862 demands.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Any

from typing_extensions import Self

from echoproto.protocols.datagram import DatagramServerProtocol

_FIELDS = Struct("!6I")
_ANSWER = Struct("!4I")

#: Bytes of the fields, with ``TestIterationNumber`` and without.
HEADER_SIZE = _FIELDS.size
ISSUE1_SIZE = 20

#: The bytes of a datagram that the server sets.
ANSWER_BYTES = slice(4, ISSUE1_SIZE)

#: Numbers wrap around after this.
NUMBERS = 1 << 32

#: Sources whose replies are counted; the counts of those that were silent longest begin again.
MAX_SOURCES = 16_384


@dataclass(frozen=True)
class EchoPlusHeader:
    """
    The fields of a datagram, in their order.

    :ivar number: ``TestGenSN``.
    :ivar replies: ``TestRespSN``.
    :ivar receivedAt: ``TestRespRecvTimeStamp``.
    :ivar repliedAt: ``TestRespReplyTimeStamp``.
    :ivar failures: ``TestRespReplyFailureCount``.
    :ivar iteration: ``TestIterationNumber``.
    """

    number: int
    replies: int = 0
    receivedAt: int = 0
    repliedAt: int = 0
    failures: int = 0
    iteration: int = 0

    def encode(self) -> bytes:
        """The fields as bytes, each modulo :data:`NUMBERS`."""
        fields = (self.number, self.replies, self.receivedAt, self.repliedAt, self.failures)
        return _FIELDS.pack(*(field % NUMBERS for field in (*fields, self.iteration)))

    @classmethod
    def decode(cls, datagram: bytes) -> Self | None:
        """The fields of a datagram; ``None`` if it is too short for those of Issue 1."""
        if len(datagram) < ISSUE1_SIZE:
            return None
        return cls(*_FIELDS.unpack(datagram[:HEADER_SIZE].ljust(HEADER_SIZE, b"\0")))

    @property
    def serverTime(self) -> int:
        """Microseconds that the server took."""
        return (self.repliedAt - self.receivedAt) % NUMBERS

    @property
    def isAnswered(self) -> bool:
        """Whether a server has set a field; one that only echoes leaves them 0."""
        return bool(self.replies or self.receivedAt or self.repliedAt or self.failures)


def isAnswer(request: bytes, reply: bytes) -> bool:
    """Whether a reply is the request with other fields of the server, which were set."""
    if not ISSUE1_SIZE <= len(request) == len(reply):
        return False
    start, end = ANSWER_BYTES.start, ANSWER_BYTES.stop
    isReturned = reply[:start] + reply[end:] == request[:start] + request[end:]
    return isReturned and reply != request


class EchoPlusDatagramProtocol(DatagramServerProtocol):
    """
    The UDPEchoPlus service. Replies and failures are counted for each address and port, so that
    every client finds its own losses, however many there are.
    """

    def startProtocol(self) -> None:
        """See :class:`DatagramServerProtocol`."""
        super().startProtocol()
        # Replies and failures by source, in the order of their last datagrams.
        self._counts: dict[tuple[Any, ...], tuple[int, int]] = {}

    def _microseconds(self) -> int:
        return round(self.clock.seconds() * 1e6) % NUMBERS

    def answer(self, request: bytes, addr: tuple[Any, ...], /) -> object:
        """Send an admitted datagram back, with the fields of the server."""
        if len(request) < ISSUE1_SIZE:
            return self.send(request, addr)
        receivedAt = self._microseconds()
        replies, failures = self._counts.pop(addr, (0, 0))
        fields = (replies % NUMBERS, receivedAt, self._microseconds(), failures % NUMBERS)
        reply = b"".join((request[:4], _ANSWER.pack(*fields), request[ISSUE1_SIZE:]))
        if self.send(reply, addr):
            replies += 1
        else:
            failures += 1
        self._counts[addr] = replies, failures
        if len(self._counts) > MAX_SOURCES:
            del self._counts[next(iter(self._counts))]
        return None
