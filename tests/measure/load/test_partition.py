from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.partition import ResultAggregator, splitPlan, withTimes
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.ramp import rampTimes
from echoproto.measure.load.schedule import fixed
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf, loadResult


class SplitPlanTests(SynchronousTestCase):
    def test_exactly(self) -> None:
        """Shares differ by one at most, and together are the whole."""
        plan = LoadPlan(connections=10, count=1001, rate=90.0, times=fixed(90))
        shares = splitPlan(plan, 3)
        self.assertEqual([share.connections for share in shares], [4, 3, 3])
        self.assertEqual([share.count for share in shares], [334, 334, 333])
        self.assertEqual(
            {(share.rate, share.times, share.open) for share in shares}, {(30, None, True)}
        )

    def test_few(self) -> None:
        """Every worker has at least one connection and one message."""
        closed = LoadPlan(connections=2, count=None)
        self.assertEqual([share.connections for share in splitPlan(closed, 5)], [1, 1])
        self.assertEqual([share.rate for share in splitPlan(closed, 5)], [None, None])
        self.assertEqual(len(splitPlan(LoadPlan(connections=9, count=3), 5)), 3)

    def test_fixed(self) -> None:
        """Fixed send times of all workers together are those of the whole load."""
        shares = splitPlan(LoadPlan(rate=7.0), 3)
        parts = [list(islice(self.times(share), 4)) for share in shares]
        self.assertEqual(sorted(chain(*parts)), list(islice(fixed(7.0), 12)))

    def test_ramp(self) -> None:
        """Rising rates are divided too."""
        plan = LoadPlan(rate=4.0, rates=(2.0, 4.0))
        parts = [list(islice(self.times(share), 3)) for share in splitPlan(plan, 2)]
        self.assertEqual(sorted(chain(*parts)), list(islice(rampTimes(plan.rates, SECOND), 6)))

    def test_nested(self) -> None:
        """Workers of several machines divide send times and connections without gap or overlap."""
        whole = LoadPlan(rate=7.0, connections=11)
        parts = [part for share in splitPlan(whole, 3) for part in splitPlan(share, 2)]
        times = [list(islice(self.times(part), 4)) for part in parts]
        self.assertEqual(sorted(chain(*times)), list(islice(fixed(7.0), 24)))
        first = 0
        for part in parts:
            self.assertEqual(part.firstConnection, first)
            first += part.connections
        self.assertEqual(first, 11)

    def test_poisson(self) -> None:
        """With random send times, every worker has its share of the rate."""
        [share, *_] = splitPlan(LoadPlan(rate=3000.0, arrivals="poisson"), 3)
        *_, last = islice(self.times(share), 20_000)
        self.assertLess(abs(last / SECOND - 20), 2)

    def test_noTimes(self) -> None:
        """A closed loop has no send times; existing send times are kept."""
        for plan in (LoadPlan(), LoadPlan(rate=1.0, times=fixed(2))):
            self.assertIs(withTimes(plan), plan)

    def times(self, plan: LoadPlan) -> Iterator[int]:
        times = withTimes(plan).times
        assert times is not None
        return times


def second(sent: int, *times: int) -> IntervalCounts:
    made = IntervalCounts()
    made.sent = sent
    made.service.merge(histogramOf(*times))
    return made


class ResultAggregatorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.told: list[tuple[int, int, int]] = []

        def tell(interval: Any, counts: IntervalCounts) -> None:
            self.told.append((interval.at // SECOND, interval.sent, counts.service.count))

        self.aggregator = ResultAggregator(2, tell)

    def test_seconds(self) -> None:
        """A second ends when all workers have reported it; its counts are their sums."""
        self.aggregator.second(0, second(1, 5))
        self.aggregator.second(0, second(2, 6, 7))
        self.assertEqual(self.told, [])
        self.aggregator.second(1, second(10))
        self.assertEqual(self.told, [(0, 11, 1)])
        self.aggregator.second(1, second(20, 8))
        self.assertEqual(self.told[1:], [(1, 22, 3)])

    def test_ended(self) -> None:
        """A worker that has ended does not delay a second, whatever its index."""
        self.aggregator.second(0, second(1))
        self.aggregator.second(0, second(2))
        self.aggregator.ended(1)
        self.assertEqual([entry for _, entry, _ in self.told], [1, 2])
        self.aggregator.second(0, second(3))
        self.aggregator.ended(0)
        self.assertEqual([entry for _, entry, _ in self.told], [1, 2, 3])

    def test_result(self) -> None:
        """The result has the sums of the counts; times are merged, CPU shares added."""
        for worker in range(2):
            self.aggregator.second(worker, second(4, 1, worker + 2))
            self.aggregator.ended(worker)
        workers = [
            loadResult(began=9, duration=5, busy=0.5, errors=Counter(lost=1)),
            loadResult(began=4, duration=7, busy=0.95, errors=Counter(lost=1, refused=2)),
        ]
        plan = LoadPlan(connections=20)
        found = self.aggregator.result(plan, workers)
        self.assertEqual((found.plan, found.target), (plan, "tcp://lab1:7"))
        self.assertEqual((found.sent, found.received, found.lost), (8, 4, 4))
        self.assertEqual(found.service.state(), histogramOf(1, 2, 1, 3).state())
        self.assertEqual((found.began, found.duration, found.busy), (4, 7, 1.45))
        self.assertEqual((found.connecting.count, found.errors), (2, Counter(lost=2, refused=2)))
        self.assertEqual([interval.sent for interval in found.intervals], [8])
        self.assertEqual(found.limits, ["worker 2: the client's CPU was busy for 95% of the time"])
        self.assertEqual(replace(found, workers=()).limits[0][:16], "the client's CPU")
