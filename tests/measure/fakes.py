"""Targets and channels in memory, which a test answers."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IChannel, ITarget
from echoproto.text.units import SECOND

MS = SECOND // 1000


@implementer(IChannel)
class FakeChannel:
    """Records what is sent, and how it is closed; a test answers."""

    connectionless = False
    wait = drops = unread = 0
    connectTime: int | None = 3 * MS
    handshakeTime: int | None = None

    producer: Any = None

    def __init__(self, ordered: bool = True) -> None:
        self.ordered = ordered
        self.sent: list[bytes] = []
        self.closed = self.aborted = False
        self.error: Exception | None = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def send(self, message: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(message)

    def waited(self) -> int:
        return self.wait

    def dropped(self) -> int:
        return self.drops

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True


@implementer(ITarget)
class Target:
    """Opens channels, or returns prepared results."""

    name, address, size, hint = "tcp://lab1:7", "192.0.2.1", 32, ""
    host = ResolvedHost([address])

    def __init__(self, ordered: bool = True) -> None:
        self.ordered = ordered
        self.channels: list[Any] = []  # of FakeChannel, or of a subclass
        self.receiver: Any = None
        #: What ``open`` returns the next times, before it opens.
        self.instead: list[Deferred[Any]] = []

    def open(self, receiver: Any) -> Deferred[Any]:
        self.receiver = receiver
        if self.instead:
            return self.instead.pop(0)
        self.channels.append(self.makeChannel(receiver))
        return succeed(self.channels[-1])

    def makeChannel(self, receiver: Any) -> FakeChannel:
        return FakeChannel(self.ordered)
