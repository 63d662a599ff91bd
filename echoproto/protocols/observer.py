"""
What the protocols tell of themselves, and to whom: the interface of an observer and the
values that it is told.

Services call an observer at openings, endings, refusals and greetings, never per message. The log and the
metrics are observers. This module knows no reactor, no socket and no logger.

It stands apart because the protocols call the interface and the running program implements it, and
neither may import the other.
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
    """All was answered, and the close was orderly."""

    IDLE = "idle"
    """Nothing was said for long, and we sent the FIN."""

    STALLED = "stalled"
    """The client did not take what was sent to it, and we cut it."""

    DRAINED = "drained"
    """We are stopping: the client had fallen silent, and we sent the FIN."""

    ABORTED = "aborted"
    """A deadline passed after the close had begun, or while we were stopping, and we cut it."""

    LOST = "lost"
    """The client reset it, or the network did."""


class ConnectionSummary(NamedTuple):
    """
    One connection, when it has ended.

    :ivar peer: the client's address; ``None`` where its endpoint tells none.
    :ivar ending: why it ended.
    :ivar seconds: how long it was open.
    :ivar bytesReceived: bytes taken from the client, those discarded included.
    :ivar bytesSent: bytes handed to the transport; after an abort or a loss some may not have arrived.
    """

    peer: IAddress | None
    ending: CloseReason
    seconds: float
    bytesReceived: int
    bytesSent: int


@dataclass
class DatagramTotals:
    """
    What a datagram listener has done so far. Counters are read, never reported per datagram.

    :ivar received: datagrams taken from the socket.
    :ivar answered: datagrams sent back.
    :ivar bytesReceived: payload bytes taken.
    :ivar bytesSent: payload bytes sent back.
    :ivar refused: datagrams not answered, by reason.
    :ivar errors: failed sends and receives, by name of the errno (``ENOBUFS``) or fault.
    """

    received: int = 0
    answered: int = 0
    bytesReceived: int = 0
    bytesSent: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)


class IObserver(Interface):
    """Is told what happens on one listener. No method may raise."""

    def connectionOpened(peer: IAddress | None) -> None:
        """A stream connection was accepted from ``peer``."""

    def connectionEnded(summary: ConnectionSummary) -> None:
        """A stream connection is over; called once for every :meth:`connectionOpened`."""

    def connectionRefused(peer: IAddress | None, reason: str) -> None:
        """
        A stream connection from ``peer`` was not served; for it there is no other call.

        :param reason: one of few constant texts, such as those of :class:`echoproto.protocols.admission.Refusal`.
        """

    def greeted(peer: IAddress | None, received: bytes) -> None:
        """
        ``peer`` was greeted.

        :param received: what it had said, raw and cut to
            :data:`echoproto.protocols.greeting.NOTED_BYTES` bytes: escape it before it is shown.
        """

    def datagramsStopped(totals: DatagramTotals) -> None:
        """A datagram listener was closed; these are its totals."""


@implementer(IObserver)
class NullObserver:
    """An observer that ignores all it is told: the default of every service."""

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
