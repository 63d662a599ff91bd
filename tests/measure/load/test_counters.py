from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.plan import LoadPlan
from echoproto.units import SECOND


def counts(
    sent: int = 1, service: tuple[int, ...] = (), response: tuple[int, ...] = ()
) -> IntervalCounts:
    made = IntervalCounts()
    made.sent, made.wrong, made.bytesSent, made.bytesReceived = sent, 2, 3, 4
    for spread, times in ((made.service, service), (made.response, response), (made.late, (5,))):
        for each in times:
            spread.add(each)
    return made


class CountsTests(SynchronousTestCase):
    def test_add(self) -> None:
        """What two have counted is added, each by itself."""
        whole = counts(sent=10, service=(7,), response=(8,))
        whole.add(counts(service=(9, 11)))
        self.assertEqual((whole.sent, whole.wrong), (11, 4))
        self.assertEqual((whole.bytesSent, whole.bytesReceived), (6, 8))
        spreads = (whole.service, whole.response, whole.late)
        self.assertEqual([each.count for each in spreads], [3, 1, 2])

    def test_any(self) -> None:
        """There is something where anything was sent, or came."""
        self.assertFalse(IntervalCounts())
        self.assertTrue(counts())
        self.assertTrue(counts(sent=0))
        late = IntervalCounts()
        late.service.add(1)
        self.assertTrue(late)

    def test_interval(self) -> None:
        """Its times are response times, in a closed loop service times, and none where nothing came."""
        for made, expected in (
            (counts(), Interval(5, 1, 0, wrong=2)),
            (counts(service=(1, 3, 2)), Interval(5, 1, 3, 1, 2, 3, 3, wrong=2)),
            (counts(service=(1, 3), response=(7, 9)), Interval(5, 1, 2, 7, 7, 9, 9, wrong=2)),
        ):
            self.assertEqual(made.interval(5), expected)


class TallyTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """Each second is told when it is over, and all are added."""
        told: list[Any] = []
        tally = LoadCounters(lambda *second: told.append(second))
        for sent in (5, 6):
            tally.counts.sent = sent
            tally.turn()
        self.assertEqual((tally.total.sent, tally.counts.sent), (11, 0))
        self.assertEqual([(each.at, each.sent) for each in tally.intervals], [(0, 5), (SECOND, 6)])
        self.assertEqual([each for each, _ in told], tally.intervals)
        self.assertEqual([counts.sent for _, counts in told], [5, 6])

    def test_restart(self) -> None:
        """What was before a new beginning is forgotten."""
        tally = LoadCounters()
        tally.counts.sent = 5
        tally.turn()
        tally.counts.sent = 6
        tally.restart(7)
        self.assertEqual((tally.begin, tally.total.sent, tally.counts.sent), (7, 0, 0))
        self.assertEqual(tally.intervals, [])

    def test_result(self) -> None:
        """What became of it is what all seconds have counted."""
        tally = LoadCounters()
        for _ in range(2):
            tally.counts.add(counts(service=(5,)))
            tally.turn()
        values = {"target": "x", "plan": LoadPlan(), "duration": SECOND, "busy": 0.5}
        result = tally.result(connecting=LatencyHistogram(), errors=Counter(), **values)
        self.assertEqual((result.sent, result.received, result.wrong), (2, 2, 4))
        self.assertEqual((result.bytesSent, result.bytesReceived, result.late.count), (6, 8, 2))
        self.assertEqual(len(result.intervals), 2)

    def test_figures(self) -> None:
        """So far are the seconds that are over, and the running one."""
        tally = LoadCounters()
        for _ in range(2):
            tally.counts.add(counts(service=(5,)))
            self.assertEqual(
                tally.figures, (1 + tally.total.sent, 1 + tally.total.sent, 2 + tally.total.wrong)
            )
            tally.turn()

    def test_foreign(self) -> None:
        """What nobody has asked for is wrong, and its bytes have come."""
        tally = LoadCounters()
        tally.foreign(9)
        self.assertEqual((tally.counts.wrong, tally.counts.bytesReceived), (1, 9))
