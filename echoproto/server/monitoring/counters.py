"""
What the running server has done, counted: an observer, and what is asked of a listener when somebody looks.

Counting costs an addition at an opening, an ending, a refusal or a greeting and nothing per message: what the
open connections and the datagram listeners have carried is asked of themselves. Filled from
:mod:`echoproto.server.builder`, shown by :mod:`echoproto.server.monitoring.metrics`; knows no transport.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IAddress
from zope.interface import implementer

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.protocols.stream import StreamProtocol
from echoproto.server.monitoring.histogram import Histogram

#: Bounds of a connection's length in seconds, each about three times the one before: from one exchange with a
#: neighbour to a session that was left open; an hour is longer than any default deadline.
CONNECTION_BOUNDS = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    *(1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0),
)


@implementer(IObserver)
class ListenerCounters:
    """
    Counts what happens on one listener.

    :ivar accepted: connections that were opened.
    :ivar refused: connections that were not served, by reason.
    :ivar ended: connections that are over, by the value of their :class:`~echoproto.protocols.observer.CloseReason`.
    :ivar bytesReceived: bytes taken on connections that are over.
    :ivar bytesSent: bytes sent on connections that are over.
    :ivar seconds: how long the connections were open that are over.
    :ivar greetings: clients that were greeted.
    :ivar vanished: connections of a worker that died: nobody knows for how long they were open.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        # All there from the start: what appears only with its first event hides that event from a rate.
        self.ended: Counter[str] = Counter({ending.value: 0 for ending in CloseReason})
        self.bytesReceived = 0
        self.bytesSent = 0
        self.seconds = Histogram(CONNECTION_BOUNDS)
        self.greetings = 0
        self.vanished = 0

    @property
    def open(self) -> int:
        """Connections that are open."""
        return self.accepted - self.seconds.count - self.vanished

    def connectionOpened(self, peer: IAddress | None) -> None:
        """See :class:`IObserver`."""
        self.accepted += 1

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        """See :class:`IObserver`."""
        self.ended[summary.ending.value] += 1
        self.bytesReceived += summary.bytesReceived
        self.bytesSent += summary.bytesSent
        self.seconds.add(summary.seconds)

    def connectionRefused(self, peer: IAddress | None, reason: str) -> None:
        """See :class:`IObserver`."""
        self.refused[reason] += 1

    def greeted(self, peer: IAddress | None, received: bytes) -> None:
        """See :class:`IObserver`."""
        self.greetings += 1

    def datagramsStopped(self, totals: DatagramTotals) -> None:
        """Nothing to count: the listener keeps its totals, and is asked for them."""


@dataclass(frozen=True)
class MonitoredListener:
    """
    A listener whose figures are shown.

    :ivar service: ``echo`` or ``greeting``.
    :ivar place: where it listens, for people, such as ``tcp 0.0.0.0:7``. No two listeners of one service may
        share it: Prometheus takes no page that says one thing twice.
    :ivar counts: the listener's observer.
    :ivar connections: the stream connections that are open now.
    :ivar datagrams: the totals of a datagram listener; ``None`` for a stream listener.
    """

    service: str
    place: str
    counts: ListenerCounters
    connections: Callable[[], Iterable[StreamProtocol]] = tuple
    datagrams: Callable[[], DatagramTotals] | None = None

    @property
    def labels(self) -> tuple[str, str]:
        """The values of :data:`LABELS`."""
        # A path may have bytes that are no text, which the page cannot hold.
        return self.service, self.place.encode("utf-8", "backslashreplace").decode("utf-8")

    @property
    def bytesReceived(self) -> int:
        """Bytes taken on all connections, the open ones included."""
        return self.counts.bytesReceived + sum(each.bytesReceived for each in self.connections())

    @property
    def bytesSent(self) -> int:
        """Bytes sent on all connections, the open ones included."""
        return self.counts.bytesSent + sum(each.bytesSent for each in self.connections())
