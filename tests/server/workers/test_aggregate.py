from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.workers.aggregate import CounterAggregator, Snapshot, snapshot
from echoproto.status.histogram import Histogram
from echoproto.status.looplag import BOUNDS

PLACE = "tcp here:7"


def stream(accepted: int, ended: int) -> MonitoredListener:
    """A stream listener with connections of 2 seconds and 10 bytes in each direction."""
    counters = ListenerCounters()
    for _ in range(accepted):
        counters.connectionOpened(None)
    for _ in range(ended):
        counters.connectionEnded(ConnectionSummary(None, CloseReason.FINISHED, 2.0, 10, 10))
    counters.connectionRefused(None, "because")
    counters.greeted(None, b"")
    counters.faults["delay"] = 5
    return MonitoredListener("greeting", PLACE, counters)


def received(*listeners: MonitoredListener, lag: float = 0.5) -> Snapshot:
    """A snapshot as the supervisor receives it."""
    histogram = Histogram(BOUNDS)
    histogram.add(lag)
    decoded: Snapshot = json.loads(json.dumps(snapshot(listeners, histogram, 2)))
    return decoded


class CounterAggregatorTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Without workers there are no listeners."""
        self.assertEqual(
            (CounterAggregator().listeners(), CounterAggregator().loopLag().count), ([], 0)
        )

    def test_streams(self) -> None:
        """The last snapshots of two workers are added up."""
        aggregator = CounterAggregator()
        aggregator.update(0, received(stream(1, 1)))
        aggregator.update(0, received(stream(3, 2)))
        aggregator.update(1, received(stream(4, 4)))
        [listener] = aggregator.listeners()
        self.assertEqual((listener.service, listener.place), ("greeting", PLACE))
        counters = listener.counts
        self.assertEqual((counters.accepted, counters.open, counters.greetings), (7, 1, 2))
        self.assertEqual((listener.bytesReceived, listener.bytesSent), (60, 60))
        self.assertEqual((counters.seconds.count, counters.seconds.sum), (6, 12.0))
        self.assertEqual(counters.faults, {"delay": 10})
        self.assertEqual((counters.refused["because"], counters.ended["finished"]), (2, 6))
        self.assertEqual((aggregator.loopLag().count, aggregator.loopLag().sum), (2, 1.0))

    def test_datagrams(self) -> None:
        """Datagram totals are added up, also if the workers have different reasons."""
        aggregator = CounterAggregator()
        for worker, reason in enumerate(("one", "other")):
            totals = DatagramTotals(2, 1, 20, 10, {reason: 1, "both": 1}, {"send EPERM": 1}, 3)
            aggregator.update(
                worker,
                received(
                    MonitoredListener(
                        "echo", "udp here:7", ListenerCounters(), tuple, partial(replace, totals)
                    )
                ),
            )
        [listener] = aggregator.listeners()
        assert listener.datagrams is not None
        self.assertEqual(
            listener.datagrams(),
            DatagramTotals(4, 2, 40, 20, {"one": 1, "other": 1, "both": 2}, {"send EPERM": 2}, 6),
        )

    def test_retire(self) -> None:
        """The counts of a dead worker stay, and its open connections count as lost."""
        aggregator = CounterAggregator()
        aggregator.retire(0)
        aggregator.update(0, received(stream(5, 2)))
        aggregator.retire(0)
        aggregator.update(0, received(stream(1, 0)))
        [listener] = aggregator.listeners()
        counters = listener.counts
        self.assertEqual((counters.accepted, counters.open, counters.ended["lost"]), (6, 1, 3))

    def test_logErrors(self) -> None:
        """The errors of writing the log are added up."""
        aggregator = CounterAggregator()
        self.assertEqual(aggregator.logErrors(), 0)
        for worker in (0, 1):
            aggregator.update(worker, received())
        aggregator.retire(0)
        self.assertEqual(aggregator.logErrors(), 4)

    def test_malformed(self) -> None:
        """A malformed snapshot is refused, and the previous one is kept."""
        aggregator = CounterAggregator()
        aggregator.update(0, received(stream(5, 2)))
        malformed: tuple[Any, ...] = (
            3,
            {},
            {"listeners": {"echo": {}}, "delay": 1},
            {"listeners": [], "delay": {}},
        )
        for value in malformed:
            with self.assertRaises(ValueError):
                aggregator.update(0, value)
        self.assertEqual(aggregator.listeners()[0].counts.accepted, 5)
