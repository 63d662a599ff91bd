from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.histogram import Histogram
from echoproto.server.monitoring.looplag import BOUNDS
from echoproto.server.workers.aggregate import CounterAggregator, Snapshot, snapshot

PLACE = "tcp here:7"


def stream(accepted: int, ended: int) -> MonitoredListener:
    """A stream listener with so many connections of 2 seconds and 10 bytes each way."""
    counts = ListenerCounters()
    for _ in range(accepted):
        counts.connectionOpened(None)
    for _ in range(ended):
        counts.connectionEnded(ConnectionSummary(None, CloseReason.FINISHED, 2.0, 10, 10))
    counts.connectionRefused(None, "because")
    counts.greeted(None, b"")
    return MonitoredListener("greeting", PLACE, counts)


def taken(*watched: MonitoredListener, delay: float = 0.5) -> Snapshot:
    """A snapshot as it arrives at the other process."""
    histogram = Histogram(BOUNDS)
    histogram.add(delay)
    made: Snapshot = json.loads(json.dumps(snapshot(watched, histogram)))
    return made


class SumsTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Without workers there is nothing."""
        self.assertEqual(
            (CounterAggregator().watched(), CounterAggregator().delay().count), ([], 0)
        )

    def test_streams(self) -> None:
        """The figures of two workers are added, and the last ones of each count."""
        sums = CounterAggregator()
        sums.update(0, taken(stream(1, 1)))
        sums.update(0, taken(stream(3, 2)))
        sums.update(1, taken(stream(4, 4)))
        [watched] = sums.watched()
        self.assertEqual((watched.service, watched.place), ("greeting", PLACE))
        counts = watched.counts
        self.assertEqual((counts.accepted, counts.open, counts.greetings), (7, 1, 2))
        self.assertEqual((watched.bytesReceived, watched.bytesSent), (60, 60))
        self.assertEqual((counts.seconds.count, counts.seconds.sum), (6, 12.0))
        self.assertEqual((counts.refused["because"], counts.ended["finished"]), (2, 6))
        self.assertEqual((sums.delay().count, sums.delay().sum), (2, 1.0))

    def test_datagrams(self) -> None:
        """So are those of datagrams, whatever reasons either worker has met."""
        sums = CounterAggregator()
        for worker, reason in enumerate(("one", "other")):
            totals = DatagramTotals(2, 1, 20, 10, {reason: 1, "both": 1}, {"send EPERM": 1})
            sums.update(
                worker,
                taken(
                    MonitoredListener(
                        "echo", "udp here:7", ListenerCounters(), tuple, partial(replace, totals)
                    )
                ),
            )
        [summed] = sums.watched()
        assert summed.datagrams is not None
        self.assertEqual(
            summed.datagrams(),
            DatagramTotals(4, 2, 40, 20, {"one": 1, "other": 1, "both": 2}, {"send EPERM": 2}),
        )

    def test_bury(self) -> None:
        """What a dead worker has counted stays; what it had open was lost with it, and is no longer open."""
        sums = CounterAggregator()
        sums.bury(0)
        sums.update(0, taken(stream(5, 2)))
        sums.bury(0)
        sums.update(0, taken(stream(1, 0)))
        [watched] = sums.watched()
        counts = watched.counts
        self.assertEqual((counts.accepted, counts.open, counts.ended["lost"]), (6, 1, 3))

    def test_nonsense(self) -> None:
        """What is no snapshot is refused, and the last one that was counts on."""
        sums = CounterAggregator()
        sums.update(0, taken(stream(5, 2)))
        wrongs: tuple[Any, ...] = (
            3,
            {},
            {"listeners": {"echo": {}}, "delay": 1},
            {"listeners": [], "delay": {}},
        )
        for wrong in wrongs:
            with self.assertRaises(ValueError):
                sums.update(0, wrong)
        self.assertEqual(sums.watched()[0].counts.accepted, 5)
