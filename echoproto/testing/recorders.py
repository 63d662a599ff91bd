"""A protocol and an observer that record events."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.protocols.observer import ConnectionSummary, DatagramTotals, IObserver


@implementer(IHalfCloseableProtocol)
class RecordingProtocol(Protocol):
    """
    A peer under the test's control: it records events and does nothing by itself, not even at the
    other end's FIN.

    :ivar received: all received data.
    :ivar events: the events in order: ``made``, ``data`` (once for consecutive pieces),
        ``readLost`` (the other end's FIN), ``writeLost`` (our FIN is sent), ``lost``.
    :ivar reason: why the connection ended; ``None`` while it is open.
    """

    def __init__(self) -> None:
        self.received = b""
        self.events: list[str] = []
        self.reason: Failure | None = None

    @property
    def link(self) -> Any:
        """The transport."""
        return cast(Any, self.transport)

    def connectionMade(self) -> None:
        """Recorded as ``made``."""
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        """Kept in :attr:`received`."""
        self.received += data
        if self.events[-1] != "data":
            self.events.append("data")

    def readConnectionLost(self) -> None:
        """Recorded as ``readLost``."""
        self.events.append("readLost")

    def writeConnectionLost(self) -> None:
        """Recorded as ``writeLost``."""
        self.events.append("writeLost")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Recorded as ``lost``."""
        self.events.append("lost")
        self.reason = reason


@implementer(IObserver)
class RecordingObserver:
    """
    Records all events.

    :ivar opened: the peers whose connections were opened.
    :ivar ended: the summaries of connections that ended.
    :ivar refused: peer and reason of each refused connection.
    :ivar greetings: peer and text of each greeting.
    :ivar totals: the totals of each datagram listener that stopped.
    """

    def __init__(self) -> None:
        self.opened: list[IAddress | None] = []
        self.ended: list[ConnectionSummary] = []
        self.refused: list[tuple[IAddress | None, str]] = []
        self.greetings: list[tuple[IAddress | None, bytes]] = []
        self.totals: list[DatagramTotals] = []

    def connectionOpened(self, peer: IAddress | None) -> None:
        """See :class:`IObserver`."""
        self.opened.append(peer)

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""
        self.ended.append(summary)

    def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
        """See :class:`IObserver`."""
        self.refused.append((peer, reason))

    def greeted(self, peer: IAddress | None, received: bytes) -> None:
        """See :class:`IObserver`."""
        self.greetings.append((peer, received))

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """See :class:`IObserver`."""
        self.totals.append(totals)


verifyClass(IHalfCloseableProtocol, RecordingProtocol)
verifyClass(IObserver, RecordingObserver)
