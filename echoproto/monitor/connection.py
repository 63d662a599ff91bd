"""
A connection of a prober to its target.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from zope.interface import implementer

from echoproto.client.targets.interfaces import IReplyReceiver, ITarget
from echoproto.measure.ping.channel import PingChannel
from echoproto.measure.ping.statistics import ReplyClassifier
from echoproto.monitor.settings import TargetSettings


class ConnectionOwner(Protocol):
    """What a connection needs of its prober."""

    reactor: Any
    settings: TargetSettings
    classifier: ReplyClassifier

    def monotonicNs(self) -> int:
        """The time in nanoseconds."""

    def fault(self, reason: str) -> None:
        """Note why the probes without a reply will be lost."""

    def finished(self, connection: ProbeConnection) -> None:
        """A connection is of no more use."""


@implementer(IReplyReceiver)
class ProbeConnection:
    """
    A connection, or a datagram port, with the probes that it has sent.

    :param owner: classifies its replies.
    :param wait: nanoseconds to connect.
    :ivar channel: sends them.
    :ivar address: the address of the target when it was opened.
    :ivar awaited: on a stream, the probes without a reply, in their order.
    """

    def __init__(self, owner: ConnectionOwner, target: ITarget, wait: int) -> None:
        self.channel = PingChannel(target, self, owner.reactor, wait)
        self.awaited: deque[int] = deque()
        self.address = ""
        self.isRetired = False
        self._owner = owner
        self._dropped = 0

    def send(self, sequence: int, probe: bytes) -> None:
        """Send a probe; raises as :meth:`.IChannel.send` does."""
        if self.channel.isOrdered:
            self.awaited.append(sequence)
        self.channel.send(probe)

    def newDrops(self) -> int:
        """Number of replies that our full receive buffer has dropped since the last call."""
        before, self._dropped = self._dropped, self.channel.dropped
        return self._dropped - before

    def retire(self) -> bool:
        """Send no more; returns whether it was closed, as no reply is awaited."""
        self.isRetired = True
        if self.awaited or not self.channel.isOrdered:
            return False
        self.channel.end(True)
        return True

    def end(self) -> None:
        """Close it at once."""
        self.channel.end(not self.awaited)

    def replyReceived(self, reply: bytes) -> None:
        """See :class:`.IReplyReceiver`."""
        # In this order, so that a pause between the two cannot make a round trip too short.
        waited = self.channel.waited
        at = self._owner.monotonicNs()
        if not self.channel.isOrdered:
            self._owner.classifier.receive(reply, at, waited)
            return
        sequence = self.awaited.popleft() if self.awaited else None
        self._owner.classifier.receiveFor(sequence, reply, at, waited)
        if not self.awaited and (self.isRetired or self._owner.settings.reconnect):
            self._owner.finished(self)

    def connectionLost(self, reason: str) -> None:
        """See :class:`.IReplyReceiver`."""
        if self.channel.lost():
            self.awaited.clear()
            self._owner.finished(self)
        self._owner.fault(reason)
