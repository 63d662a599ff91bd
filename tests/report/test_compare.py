from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ReportError
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.compare import (
    ComparisonVerdict,
    Estimate,
    MetricDifference,
    _estimates,
    compare,
    ranks,
)
from echoproto.report.result import StoredResult
from tests.report.sampleresults import storedResult, storedVerification


def run(random: Random, count: int, factor: float = 1.0, **values: Any) -> StoredResult:
    """Log-normal round-trip times, multiplied by a factor."""
    times = LatencyHistogram()
    for _ in range(count):
        times.add(round(random.lognormvariate(13, 0.5) * factor))
    return storedResult(**{"sent": count, "received": count, "times": times, **values})


def verdicts(a: StoredResult, b: StoredResult) -> dict[str, str]:
    return {difference.name: str(difference) for difference in compare(a, b).differences}


class CompareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.random = Random(862)

    def test_slower(self) -> None:
        """A difference of 20 % is significant, except in percentiles with too few samples."""
        a, b = run(self.random, 3000), run(self.random, 3000, 1.2)
        self.assertEqual(
            verdicts(a, b),
            {
                "p50": "significantly slower, by 21 %",
                "p90": "significantly slower, by 23 %",
                "p95": "significantly slower, by 19 %",
                "p99": "significantly slower, by 20 %",
                "p99.9": "too few samples",
                "loss": "no significant difference",
            },
        )
        self.assertEqual(verdicts(b, a)["p50"], "significantly faster, by 18 %")

    def test_same(self) -> None:
        """At most 5 % of comparisons of equal runs report a difference; of these 100, none."""
        wrong = 0
        for _ in range(100):
            a, b = (run(self.random, 400) for _ in range(2))
            found = {difference.verdict for difference in compare(a, b).differences}
            wrong += bool(found & {ComparisonVerdict.MORE, ComparisonVerdict.LESS})
        self.assertEqual(wrong, 0)

    def test_intervals(self) -> None:
        """The true percentile is in its confidence interval in at least 97 of 100 runs."""
        true = {"p50": 442_413, "p90": 839_686, "p99": 1_415_722}
        within = dict.fromkeys(true, 0)
        for _ in range(100):
            result = run(self.random, 1000)
            for found in compare(result, result).differences:
                if found.name in true and found.a.high is not None:
                    within[found.name] += found.a.low <= true[found.name] <= found.a.high
        self.assertTrue(all(count >= 97 for count in within.values()), within)

    def test_rounded(self) -> None:
        """Times in the same bucket do not differ significantly, however many there are."""
        a, b = LatencyHistogram(), LatencyHistogram()
        for _ in range(10_000):
            a.add(100_000)
            b.add(100_001)
        for time in (50_000, 200_000):
            a.add(time)
            b.add(time)
        found = compare(storedResult(times=a), storedResult(times=b)).differences
        self.assertEqual(
            [difference.verdict for difference in found[:3]], [ComparisonVerdict.SAME] * 3
        )

    def test_ranks(self) -> None:
        """The median of 100 is between ranks 37 and 64; in a small sample bounds are missing."""
        self.assertEqual(ranks(100, 0.5), (37, 64))
        self.assertEqual(ranks(100, 0.999)[1], 101)
        self.assertEqual((ranks(7, 0.5), ranks(0, 0.5)), ((0, 8), (0, 1)))

    def test_contains(self) -> None:
        """A percentile is in its confidence interval, however few of the times are independent."""
        for count in (1, 2, 7, 100, 1200):
            times = LatencyHistogram()
            for time in range(1, count + 1):
                times.add(time)
            for effectiveSize in {*range(min(count, 30) + 1), count // 3, count}:
                for estimate in _estimates(times, effectiveSize):
                    assert estimate.value is not None
                    self.assertLessEqual(estimate.low, estimate.value or 0)
                    self.assertLessEqual(estimate.value, estimate.high or count)

    def test_noTimes(self) -> None:
        """Without any reply there are no percentiles, and no ratio, on that side."""
        some = run(self.random, 5)
        none = storedResult(sent=5, received=0, times=LatencyHistogram())
        for a, b in ((some, none), (none, some), (none, none)):
            *times, loss = compare(a, b).differences
            for found in times:
                missing = found.a.value is None, found.b.value is None
                self.assertEqual(missing, (a is none, b is none))
                self.assertEqual((found.ratio, str(found)), (None, "too few samples"))
            self.assertEqual(loss.a.value, float(a is none))

    def test_loss(self) -> None:
        """Loss ratios are compared by Fisher's exact test; without probes there is no verdict."""
        for sent, received, says in (
            (1000, 1000, "no significant difference"),
            (1000, 900, "significantly more"),
            (0, 0, "too few samples"),
        ):
            a, b = (
                storedResult(sent=1000, received=1000),
                storedResult(sent=sent, received=received),
            )
            self.assertEqual(verdicts(a, b)["loss"], says)
        a, b = storedResult(sent=1000, received=900), storedResult(sent=1000, received=990)
        self.assertEqual(verdicts(a, b)["loss"], "significantly less, by 90 %")

    def test_few(self) -> None:
        """In small samples only a difference without overlap is significant."""
        for a, b in (
            (storedResult(), storedResult()),
            (storedResult(1), storedResult(100)),
            (storedResult(1), storedResult()),
        ):
            found = compare(a, b).differences[:5]
            self.assertEqual({str(difference) for difference in found}, {"too few samples"})
        # The lower bound of one is above the upper bound of the other.
        a, b = storedResult(*[1] * 6000), storedResult(*[50] * 100)
        self.assertEqual(verdicts(a, b)["p99.9"], "significantly slower, by a factor of 50.0")

    def test_words(self) -> None:
        """A small difference has a decimal, a large one is a factor; there may be no ratio."""
        for a, says in (
            (100, "significantly slower, by 5.0 %"),
            (50, "significantly slower, by 110 %"),
            (10, "significantly slower, by a factor of 10.5"),
            (0, "significantly slower"),
        ):
            found = MetricDifference("p50", Estimate(a), Estimate(105), ComparisonVerdict.MORE)
            self.assertEqual(str(found), says)

    def test_unlike(self) -> None:
        """Results of different kinds, or without times, are not compared."""
        for a, b, says in (
            (storedResult(), storedResult(measured="response", command="load"), "can be compared"),
            (storedVerification(), storedVerification(), "a.json has no times"),
        ):
            with self.assertRaisesRegex(ReportError, says):
                compare(a, b)
