from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.monitor.counters import MINUTES, LastHour, TargetCounters
from echoproto.text.units import SECOND

MINUTE = 60 * SECOND


class LastHourTests(SynchronousTestCase):
    def test_minutes(self) -> None:
        """Each minute has its probes, losses, mean and longest round-trip time."""
        hour = LastHour()
        for took in (2, 4, -1):
            hour.add(100 * MINUTE + 5, took)
        hour.add(102 * MINUTE, -1)
        # The wait of a probe may be over in a later minute.
        hour.add(100 * MINUTE + 6, 6)
        rows = hour.rows(102 * MINUTE)
        self.assertEqual(len(rows), MINUTES)
        self.assertEqual(rows[-3:], [(4, 1, 4, 6), (0, 0, 0, 0), (1, 1, 0, 0)])
        self.assertEqual(sum(row[0] for row in rows), 5)

    def test_forgotten(self) -> None:
        """Minutes older than an hour are forgotten, however long nothing was counted."""
        hour = LastHour()
        for minute in range(200):
            hour.add(minute * MINUTE, 1)
        self.assertEqual(hour.rows(199 * MINUTE), [(1, 0, 1, 1)] * MINUTES)
        self.assertEqual(sum(row[0] for row in hour.rows(229 * MINUTE)), 30)
        self.assertEqual(hour.rows(1000 * MINUTE), [(0, 0, 0, 0)] * MINUTES)


class TargetCountersTests(SynchronousTestCase):
    def test_settle(self) -> None:
        """What was sent is the sum of what was received and lost; bursts are counted."""
        counters = TargetCounters((0.001, 1.0))
        for took in (SECOND // 100, -1, -1, 5, -1):
            counters.settle(0, took)
        self.assertEqual((counters.sent, counters.received, counters.lost), (5, 2, 3))
        self.assertEqual((counters.bursts.count, counters.bursts.length), (2, 1))
        self.assertEqual(counters.roundTrips.cumulative()[0], (0.001, 1))
        self.assertEqual((counters.roundTrips.count, counters.lastTook), (2, -1))

    def test_buckets(self) -> None:
        """Other bounds begin the histograms anew; the counters stay."""
        counters = TargetCounters((1.0,))
        counters.settle(0, 5)
        counters.setBuckets((2.0,))
        self.assertEqual((counters.received, counters.roundTrips.count), (1, 0))
