"""
Sends numbered datagrams of known content to one target, and checks the echoes.

Datagrams may be lost, duplicated and reordered on their way, so every reply is identified by its
content: by its header or, if that is damaged, by the datagram that it has most bytes of. Memory is
bounded by the datagrams under way and a number of remembered ones. Streams are verified by
:mod:`.streams`.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from echoproto.client.matching import firstDifference
from echoproto.client.targets.failures import sendErrorReason
from echoproto.client.targets.interfaces import IReplyReceiver, ITarget
from echoproto.errors import EchoprotoError
from echoproto.measure.ping.payload import EXCERPT_SIZE
from echoproto.measure.verify.integrity import DatagramFault, Fault, FaultKind
from echoproto.measure.verify.pattern import DatagramPattern, PatternStream
from echoproto.measure.verify.verifier import Verifier, VerifyResult
from echoproto.text.units import SECOND, seconds

#: Bytes of a datagram, and datagrams per second, by default: half of what our server accepts.
DEFAULT_DATAGRAM_SIZE = 1024
DEFAULT_DATAGRAM_RATE = 500.0

#: Datagrams that are sent at once after a pause.
MAX_BURST = 16

#: The shortest time between two turns of sending, in nanoseconds.
SEND_INTERVAL = 1_000_000

#: Datagrams that are remembered after their reply or their loss, for duplicate and late replies.
MAX_REMEMBERED = 1 << 16


@implementer(IReplyReceiver)
class DatagramVerifier(Verifier):
    """
    The verification of one target over UDP; see :class:`.Verifier`.

    :param target: a :class:`~echoproto.client.targets.udp.UDPTarget`, with the size of a datagram.
    :param pattern: the content of the datagrams.
    :param size: bytes to send, in whole datagrams; ``None`` to send until stopped.
    :param rate: datagrams per second.
    :param timeout: nanoseconds; a datagram without a reply for this time is lost.
    """

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        pattern: PatternStream,
        size: int | None,
        rate: float,
        timeout: int,
        onFault: Callable[[Fault], None],
    ) -> None:
        super().__init__(target, clock, monotonicNs, timeout, onFault)
        self._pattern = DatagramPattern(pattern, target.size)
        self._size: int = target.size
        self._count = None if size is None else -(-size // self._size)
        self._rate = rate
        self._sent = self._receivedBytes = 0
        self._highest = -1
        # When each datagram without a reply was sent, in the order of sending.
        self._awaited: dict[int, int] = {}
        # Whether each of the last other ones was answered.
        self._wasAnswered: dict[int, bool] = {}
        # Why the last datagram was not sent; empty if it was.
        self._unsentReason = ""
        # The last error that the network has reported, and when.
        self._networkReason, self._networkAt = "", -1
        self._credit = 1.0
        self._turnAt = self._lastSentAt = self._began

    def snapshot(self, ending: str = "") -> VerifyResult:
        """The figures so far; their time ends with sending or, if that is later, the last reply."""
        isSent = self._sent == self._count
        lastAt = max(self._lastSentAt, self._lastReceivedAt)
        until = lastAt if isSent else self._monotonicNs()
        sent, received = self._sent * self._size, self._receivedBytes
        return self._result(self._pattern.source.seed, sent, received, until - self._began, ending)

    def finish(self) -> None:
        """Stop sending, and end when no reply is awaited any more."""
        if self._sent != self._count:
            self._lastSentAt = self._monotonicNs()
        self._count = self._sent
        self._endIfComplete()

    def _begin(self) -> None:
        self._turnAt = self._lastSentAt = self._began
        self._turn()

    def _turn(self) -> None:
        """Judge the datagrams whose time is over, and send those that are due."""
        now = self._monotonicNs()
        for number, sentAt in list(self._awaited.items()):
            if now - sentAt < self._timeout:
                break
            self._lose(number, self._networkReason if sentAt <= self._networkAt else "")
        isSilent = now - self._lastReceivedAt >= self._timeout
        if isSilent and self._counts[FaultKind.LOST] and self._sent != self._count:
            hasError = self._networkAt > self._lastReceivedAt
            reason = self._unsentReason or (self._networkReason if hasError else "")
            self._end(reason or f"no data received for {seconds(self._timeout)}")
            return
        self._credit = min(self._credit + (now - self._turnAt) * self._rate / SECOND, MAX_BURST)
        self._turnAt = now
        while self._credit >= 1 and self._sent != self._count and not self._isOver:
            self._credit -= 1
            self._send(now)
        self._endIfComplete()
        if not self._isOver:
            interval = max(1 / self._rate, SEND_INTERVAL / SECOND)
            self._later(interval, self._turn)

    def _send(self, now: int) -> None:
        number = self._sent
        self._sent += 1
        self._awaited[number] = self._lastSentAt = now
        try:
            self._channel.send(self._pattern.encode(number))
        except (OSError, EchoprotoError) as error:
            self._unsentReason = sendErrorReason(error)
            self._lose(number, self._unsentReason)
        else:
            self._unsentReason = ""

    def _lose(self, number: int, reason: str = "") -> None:
        self._settle(number, False)
        self._noteDatagram(FaultKind.LOST, number, reason=reason)

    def _settle(self, number: int, isAnswered: bool) -> None:
        """No reply to a datagram is awaited any more."""
        self._awaited.pop(number, None)
        self._wasAnswered[number] = isAnswered
        if len(self._wasAnswered) > MAX_REMEMBERED:
            del self._wasAnswered[next(iter(self._wasAnswered))]

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._lastReceivedAt = self._monotonicNs()
        self._receivedBytes += len(reply)
        number = self._pattern.identify(reply, self._sent, self._awaited)
        if number is None:
            self._noteDatagram(FaultKind.FOREIGN, 0, reply)
            return
        if self._wasAnswered.get(number, number not in self._awaited):
            self._noteDatagram(FaultKind.REPEATED, number)
        else:
            self._answered(number, reply)
        self._endIfComplete()

    def _answered(self, number: int, reply: bytes) -> None:
        if number not in self._awaited:
            self._counts[FaultKind.LOST] -= 1
            self._noteDatagram(FaultKind.LATE, number)
        elif number < self._highest:
            self._noteDatagram(FaultKind.REORDERED, number)
        self._highest = max(self._highest, number)
        self._settle(number, True)
        if reply != self._pattern.encode(number):
            self._noteDatagram(FaultKind.DAMAGED, number, reply)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._networkReason, self._networkAt = reason, self._monotonicNs()
        if not self._receivedBytes:
            self._end(reason)

    def _noteDatagram(
        self, kind: FaultKind, number: int, reply: bytes = b"", reason: str = ""
    ) -> None:
        expected = self._pattern.encode(number) if kind is FaultKind.DAMAGED else b""
        at = firstDifference(expected, reply)
        excerpts = expected[at : at + EXCERPT_SIZE], reply[at : at + EXCERPT_SIZE]
        self._note(DatagramFault(kind, number * self._size, self._size, *excerpts, reason))

    def _endIfComplete(self) -> None:
        if self._sent == self._count and not self._awaited:
            self._end("")
