"""
The interface of an observer, and the values that it receives.

Services call an observer at openings, closings, refusals and greetings, never per message. The log
and the metrics are observers.

This is a module of its own because the protocols call the interface and the running program
implements it, and neither may import the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from twisted.internet.interfaces import IAddress
from zope.interface import Interface, implementer


class CloseReason(Enum):
    """Why a connection ended."""

    FINISHED = "finished"
    "All data was answered, and the close was orderly."

    IDLE = "idle"
    "The connection was idle for too long, and we sent our FIN."

    STALLED = "stalled"
    "The client did not accept pending data, and we reset the connection."

    DRAINED = "drained"
    "The server stops: the client was silent, and we sent our FIN."

    ABORTED = "aborted"
    "We reset the connection: a timeout passed while it was closing or the server was stopping."

    UNUSED = "unused"
    "The client closed or reset the connection before a byte was exchanged, as health checks do."

    LOST = "lost"
    "The client or the network reset the connection."


class ConnectionSummary(NamedTuple):
    """
    One connection that has ended.

    :ivar peer: the client's address; ``None`` if its endpoint has none.
    :ivar ending: the close reason.
    :ivar seconds: how long it was open.
    :ivar bytesReceived: bytes received from the client, including discarded ones.
    :ivar bytesSent: bytes given to the transport; after an abort or a loss some may not have
        arrived.
    """

    peer: IAddress | None
    ending: CloseReason
    seconds: float
    bytesReceived: int
    bytesSent: int


@dataclass
class DatagramTotals:
    """
    Totals of a datagram listener. Counters are read; nothing is reported per datagram.

    :ivar received: datagrams read from the socket.
    :ivar answered: datagrams sent back.
    :ivar bytesReceived: payload bytes received.
    :ivar bytesSent: payload bytes sent.
    :ivar refused: datagrams not answered, by reason.
    :ivar errors: failed sends and receives, by name of the errno (``ENOBUFS``) or fault.
    :ivar dropped: datagrams that the kernel dropped before they were read, most of them because the
        receive buffer was full; 0 if the kernel or the port does not count them.
    """

    received: int = 0
    answered: int = 0
    bytesReceived: int = 0
    bytesSent: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0


class IObserver(Interface):
    """Receives the events of one listener. No method may raise."""

    def connectionOpened(peer: IAddress | None) -> None:
        """A stream connection was accepted from ``peer``."""

    def connectionEnded(summary: ConnectionSummary) -> None:
        """A stream connection has ended; called once for every :meth:`connectionOpened`."""

    def connectionRefused(peer: IAddress | None, reason: str) -> None:
        """
        A stream connection from ``peer`` was refused; there is no other call for it.

        :param reason: one of a few constant texts, such as those of
            :class:`echoproto.protocols.admission.refusals.Refusal`.
        """

    def greeted(peer: IAddress | None, received: bytes) -> None:
        """
        ``peer`` was greeted.

        :param received: the client's text, raw and cut to
            :data:`echoproto.protocols.greeting.NOTED_BYTES` bytes: escape it before showing it.
        """

    def datagramsStopped(totals: DatagramTotals) -> None:
        """A datagram listener was closed, with these totals."""


@implementer(IObserver)
class NullObserver:
    """
    An observer that ignores everything: the default of every service, and a base for observers of
    some events.
    """

    def connectionOpened(self, peer: IAddress | None) -> None:
        """See :class:`IObserver`."""

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""

    def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
        """See :class:`IObserver`."""

    def greeted(self, peer: IAddress | None, received: bytes) -> None:
        """See :class:`IObserver`."""

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """See :class:`IObserver`."""


@implementer(IObserver)
class CompositeObserver:
    """
    Passes events on to several observers.

    :param observers: they receive every event, in this order.
    """

    def __init__(self, *observers: IObserver) -> None:
        self._observers = observers

    def connectionOpened(self, peer: IAddress | None) -> None:
        """See :class:`IObserver`."""
        for observer in self._observers:
            observer.connectionOpened(peer)

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""
        for observer in self._observers:
            observer.connectionEnded(summary)

    def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
        """See :class:`IObserver`."""
        for observer in self._observers:
            observer.connectionRefused(peer, reason)

    def greeted(self, peer: IAddress | None, received: bytes) -> None:
        """See :class:`IObserver`."""
        for observer in self._observers:
            observer.greeted(peer, received)

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """See :class:`IObserver`."""
        for observer in self._observers:
            observer.datagramsStopped(totals)
