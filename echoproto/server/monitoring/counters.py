"""
Counters of a listener: an observer, and the figures for the metrics.

Counting costs an addition at an opening, a closing, a refusal or a greeting and nothing per
message: open connections and datagram listeners count their own bytes, and are read when the
metrics are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IAddress

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.observer import (
    CloseReason,
    ConnectionSummary,
    DatagramTotals,
    NullObserver,
)
from echoproto.protocols.stream import StreamProtocol
from echoproto.server.config.listener import listenerName
from echoproto.status.histogram import Histogram

#: Bounds of connection times in seconds, each about three times the one before: from one exchange
#: with a neighbour to a forgotten session; an hour is longer than any default timeout.
CONNECTION_BOUNDS = (
    *(0.001, 0.003, 0.01, 0.03, 0.1, 0.3),
    *(1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0),
)


class ListenerCounters(NullObserver):
    """
    Counts the events of one listener.

    :param refusals: why its connections may be refused.
    :ivar accepted: connections that were opened.
    :ivar refused: connections that were refused, by reason.
    :ivar ended: connections that have ended, by the value of their
        :class:`~echoproto.protocols.observer.CloseReason`.
    :ivar bytesReceived: bytes received on connections that have ended.
    :ivar bytesSent: bytes sent on connections that have ended.
    :ivar seconds: how long these connections were open.
    :ivar greetings: clients that were greeted.
    :ivar faults: faults that happened on purpose, by kind.
    :ivar vanished: connections of a worker that died, whose times are unknown.
    """

    def __init__(self, refusals: Iterable[Refusal] = ()) -> None:
        self.accepted = 0
        # All present from the start: a series that appears with its first event hides that event
        # from a rate.
        self.refused: Counter[str] = Counter({refusal.value: 0 for refusal in refusals})
        self.ended: Counter[str] = Counter({ending.value: 0 for ending in CloseReason})
        self.bytesReceived = 0
        self.bytesSent = 0
        self.seconds = Histogram(CONNECTION_BOUNDS)
        self.greetings = 0
        self.faults: Counter[str] = Counter()
        self.vanished = 0

    @property
    def open(self) -> int:
        """Connections that are open."""
        return self.accepted - self.seconds.count - self.vanished

    def state(self) -> dict[str, Any]:
        """The counts themselves, as values for JSON and for :meth:`restore`."""
        return {**vars(self), "seconds": self.seconds.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace the counts by the :meth:`state` of others."""
        self.seconds.restore(state["seconds"])
        for name, value in vars(self).items():
            if name != "seconds":
                setattr(self, name, type(value)(state[name]))

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


@dataclass(frozen=True)
class MonitoredListener:
    """
    A listener with its counters.

    :ivar service: ``echo`` or ``greeting``.
    :ivar place: its place, for people, such as ``tcp 0.0.0.0:7``; unique for the listeners of a
        service, because Prometheus refuses a page with two equal series.
    :ivar counts: the listener's observer.
    :ivar connections: the open stream connections.
    :ivar datagrams: the totals of a datagram listener; ``None`` for a stream listener.
    """

    service: str
    place: str
    counts: ListenerCounters
    connections: Callable[[], Iterable[StreamProtocol]] = tuple
    datagrams: Callable[[], DatagramTotals] | None = None

    @property
    def name(self) -> str:
        """Its name in the log."""
        return listenerName(self.service, self.place)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels in the metrics."""
        # A path may have bytes that are not text, which the page cannot hold.
        place = self.place.encode("utf-8", "backslashreplace").decode("utf-8")
        return {"service": self.service, "listener": place}

    @property
    def bytesReceived(self) -> int:
        """Bytes received on all connections, including open ones."""
        return self.counts.bytesReceived + sum(
            connection.bytesReceived for connection in self.connections()
        )

    @property
    def bytesSent(self) -> int:
        """Bytes sent on all connections, including open ones."""
        return self.counts.bytesSent + sum(
            connection.bytesSent for connection in self.connections()
        )
