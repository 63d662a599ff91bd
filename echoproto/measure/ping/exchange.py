"""
Sends probes on a channel, and receives their replies, whenever :mod:`.pinger` has it do so.

Replies are classified by :mod:`.statistics`.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from echoproto.client.targets.failures import sendErrorReason
from echoproto.client.targets.interfaces import IReplyReceiver, ITarget
from echoproto.errors import EchoprotoError
from echoproto.measure.ping.awaited import AwaitedProbes
from echoproto.measure.ping.channel import NOT_READ, PingChannel
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.text.units import seconds


@implementer(IReplyReceiver)
class ProbeExchange:
    """
    The exchange of probes and replies with one target.

    :param clock: calls later.
    :param monotonicNs: the time in nanoseconds.
    :param record: counts the probes and replies.
    :param timeout: nanoseconds to connect, and until a reply is late.
    :param onOutcome: called with each :class:`~echoproto.measure.ping.statistics.ProbeOutcome`.
    :param settled: called when probes are answered or lost; with ``True`` after a reply.
    :ivar channel: the channel; opened by the caller.
    :ivar awaited: the probes that wait for their replies.
    :ivar unusedReason: why the connection has ended before the first probe was sent; empty if it
        has not.
    """

    unusedReason = ""

    def __init__(
        self,
        target: ITarget,
        clock: IReactorTime,
        monotonicNs: Callable[[], int],
        record: PingStatistics,
        timeout: int,
        onOutcome: Callable[[ProbeOutcome], None],
        settled: Callable[[bool], None],
    ) -> None:
        self.channel = PingChannel(target, self, clock, timeout)
        self.awaited = AwaitedProbes(clock, timeout, self._timedOut)
        self._monotonicNs = monotonicNs
        self._record = record
        self._timeout = timeout
        self._onOutcome = onOutcome
        self._settled = settled

    def send(self) -> None:
        """Send the next probe; it is lost if that fails."""
        sequence, isBlocked = self._record.sent, self.channel.isBlocked
        if not isBlocked:
            # Before the clock is read, so that the round trip does not include it.
            self.awaited.add(sequence, self.channel.isOrdered)
        probe = self._record.send(self._monotonicNs())
        if isBlocked:
            self._lose(sequence, NOT_READ)
            return
        try:
            self.channel.send(probe)
        except (OSError, EchoprotoError) as error:
            self._lose(sequence, sendErrorReason(error))

    def loseNext(self, reason: str) -> None:
        """The next probe is lost for want of a connection."""
        self._record.send(self._monotonicNs())
        self._lose(self._record.sent - 1, reason)

    def close(self) -> None:
        """Close the channel, before another one is opened."""
        self._countExcess()
        self.channel.close(self.awaited.isComplete)
        self.awaited.disconnected()
        self._record.dropped = self.channel.dropped

    def dismiss(self) -> None:
        """The run ends: ignore the probes whose replies could not be expected yet."""
        self._countExcess()
        now = self._monotonicNs()
        for sequence in (*self.awaited.overdue, *self.awaited):
            self._record.dismiss(sequence, now)

    def end(self) -> None:
        """Close the channel for ever."""
        self.awaited.end()
        self.channel.end(self.awaited.isComplete)
        self.awaited.disconnected()

    @property
    def lateReplyTime(self) -> int:
        """Nanoseconds in which late replies to the last probes may come, as to those before."""
        longest = self._record.times.maximum
        if longest <= self._timeout or not self.awaited.overdue or not self._record.lost:
            return 0
        return self._record.sentAt(self.awaited.overdue[-1]) + 2 * longest - self._monotonicNs()

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        # In this order, so that a pause between the two cannot make a round trip too short.
        waited = self.channel.waited
        now = self._monotonicNs()
        if not self.channel.isOrdered:
            outcome = self._record.receive(reply, now, waited)
        elif (sequence := self.awaited.next()) is None:
            outcome = self._record.receiveExcess(len(reply))
        else:
            outcome = self._record.receiveFor(sequence, reply, now, waited)
        if outcome.sequence is not None:
            self.awaited.discard(outcome.sequence)
        self._onOutcome(outcome)
        self._settled(True)

    def connectionLost(self, reason: str) -> None:
        """See :class:`~echoproto.client.targets.interfaces.IReplyReceiver`."""
        self._countExcess()
        if self.channel.lost():
            self.awaited.disconnected()
            if not self._record.sent:
                self.unusedReason = reason
        for sequence in self.awaited:
            self._lose(sequence, reason)
        self._settled(False)

    def _countExcess(self) -> None:
        """Count the received data on a stream that follows the last reply."""
        if self.awaited.isComplete and (size := self.channel.takeUnread()):
            self._onOutcome(self._record.receiveExcess(size))

    def _timedOut(self, sequence: int) -> None:
        self._lose(sequence, f"no reply in {seconds(self._timeout)}")
        self._settled(False)

    def _lose(self, sequence: int, reason: str) -> None:
        self.awaited.discard(sequence)
        self._onOutcome(self._record.lose(sequence, reason))
