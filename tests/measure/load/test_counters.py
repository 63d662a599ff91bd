from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.failures import CLOSED_HINT
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.plan import LoadPlan
from echoproto.text.units import SECOND


def counts(
    sent: int = 1, service: tuple[int, ...] = (), response: tuple[int, ...] = ()
) -> IntervalCounts:
    made = IntervalCounts()
    made.sent, made.wrong, made.bytesSent, made.bytesReceived = sent, 2, 3, 4
    for spread, times in ((made.service, service), (made.response, response), (made.late, (5,))):
        for time in times:
            spread.add(time)
    return made


class CountsTests(SynchronousTestCase):
    def test_add(self) -> None:
        """Counts of two intervals are added field by field."""
        whole = counts(sent=10, service=(7,), response=(8,))
        whole.add(counts(service=(9, 11)))
        self.assertEqual((whole.sent, whole.wrong), (11, 4))
        self.assertEqual((whole.bytesSent, whole.bytesReceived), (6, 8))
        spreads = (whole.service, whole.response, whole.late)
        self.assertEqual([histogram.count for histogram in spreads], [3, 1, 2])

    def test_any(self) -> None:
        """Counts are true if anything was sent or received."""
        self.assertFalse(IntervalCounts())
        self.assertTrue(counts())
        self.assertTrue(counts(sent=0))
        late = IntervalCounts()
        late.service.add(1)
        self.assertTrue(late)

    def test_interval(self) -> None:
        """The times of an interval are response times or, in a closed loop, service times."""
        for made, expected in (
            (counts(), Interval(5, 1, 0, wrong=2)),
            (counts(service=(1, 3, 2)), Interval(5, 1, 3, 2, 1, 2, 3, 3)),
            (counts(service=(1, 3), response=(7, 9)), Interval(5, 1, 2, 2, 7, 7, 9, 9)),
        ):
            self.assertEqual(made.interval(5), expected)


class TallyTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """Each second is reported at its end, and added to the total."""
        told: list[Any] = []
        counters = LoadCounters(lambda *second: told.append(second))
        for sent in (5, 6):
            counters.counts.sent = sent
            counters.closeInterval()
        self.assertEqual((counters.total.sent, counters.counts.sent), (11, 0))
        self.assertEqual(
            [(interval.at, interval.sent) for interval in counters.intervals], [(0, 5), (SECOND, 6)]
        )
        self.assertEqual([entry for entry, _ in told], counters.intervals)
        self.assertEqual([counts.sent for _, counts in told], [5, 6])

    def test_restart(self) -> None:
        """A restart resets all counts."""
        counters = LoadCounters()
        counters.counts.sent = 5
        counters.closeInterval()
        counters.counts.sent = 6
        counters.restart(7)
        self.assertEqual((counters.begin, counters.total.sent, counters.counts.sent), (7, 0, 0))
        self.assertEqual(counters.intervals, [])

    def test_result(self) -> None:
        """The result has the sums of all seconds."""
        counters = LoadCounters()
        for _ in range(2):
            counters.counts.add(counts(service=(5,)))
            counters.closeInterval()
        values = {"target": "x", "plan": LoadPlan(), "duration": SECOND, "busy": 0.5}
        result = counters.result(connecting=LatencyHistogram(), errors=Counter(), **values)
        self.assertEqual((result.sent, result.received, result.wrong), (2, 2, 4))
        self.assertEqual((result.bytesSent, result.bytesReceived, result.late.count), (6, 8, 2))
        self.assertEqual(len(result.intervals), 2)

    def test_closedBeforeAnswer(self) -> None:
        """The hint of a server that has never answered is left out once it has."""
        hinted = f"closed{CLOSED_HINT}"
        values = {"target": "x", "plan": LoadPlan(), "duration": SECOND, "busy": 0.5}
        for times, reason in (((), hinted), ((5,), "closed")):
            counters = LoadCounters()
            counters.counts.add(counts(service=times))
            counters.closeInterval()
            errors = Counter({hinted: 2})
            result = counters.result(errors, connecting=LatencyHistogram(), **values)
            self.assertEqual(result.errors, {reason: 2})

    def test_figures(self) -> None:
        """The figures so far include the current second."""
        counters = LoadCounters()
        for _ in range(2):
            counters.counts.add(counts(service=(5,)))
            self.assertEqual(
                counters.figures,
                (1 + counters.total.sent, 1 + counters.total.sent, 2 + counters.total.wrong),
            )
            counters.closeInterval()

    def test_foreign(self) -> None:
        """A foreign reply counts as wrong, and its bytes as received."""
        counters = LoadCounters()
        counters.foreign(9)
        self.assertEqual((counters.counts.wrong, counters.counts.bytesReceived), (1, 9))
