from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ReportError
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.compare import ComparisonVerdict, Estimate, MetricDifference, compare, ranks
from echoproto.report.result import StoredResult
from tests.report.sampleresults import storedResult, storedVerification


def run(random: Random, count: int, factor: float = 1.0, **values: Any) -> StoredResult:
    """Round trips as a network has them, so many times as long."""
    times = LatencyHistogram()
    for _ in range(count):
        times.add(round(random.lognormvariate(13, 0.5) * factor))
    return storedResult(**{"sent": count, "received": count, "times": times, **values})


def verdicts(a: StoredResult, b: StoredResult) -> dict[str, str]:
    return {each.name: str(each) for each in compare(a, b).differences}


class CompareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.random = Random(862)

    def test_slower(self) -> None:
        """What is a fifth slower is told so, with about as much; what there is too little of is not."""
        a, b = run(self.random, 3000), run(self.random, 3000, 1.2)
        self.assertEqual(
            verdicts(a, b),
            {
                "p50": "slower by 21 %, more than noise",
                "p90": "slower by 23 %, more than noise",
                "p99": "slower by 20 %, more than noise",
                "p99.9": "too few to tell",
                "loss": "no difference that could be told",
            },
        )
        self.assertEqual(verdicts(b, a)["p50"], "faster by 18 %, more than noise")

    def test_same(self) -> None:
        """Two runs of the same are called different in five of a hundred comparisons at most; of these hundred none is."""
        wrong = 0
        for _ in range(100):
            a, b = (run(self.random, 400) for _ in range(2))
            told = {each.verdict for each in compare(a, b).differences}
            wrong += bool(told & {ComparisonVerdict.MORE, ComparisonVerdict.LESS})
        self.assertEqual(wrong, 0)

    def test_intervals(self) -> None:
        """The true percentile is within its interval in nearly all runs: of a hundred in 97 or more."""
        true = {"p50": 442_413, "p90": 839_686, "p99": 1_415_722}
        within = dict.fromkeys(true, 0)
        for _ in range(100):
            result = run(self.random, 1000)
            for each in compare(result, result).differences:
                if each.name in true and each.a.high is not None:
                    within[each.name] += each.a.low <= true[each.name] <= each.a.high
        self.assertTrue(all(each >= 97 for each in within.values()), within)

    def test_rounded(self) -> None:
        """Times that the histogram does not tell apart do not differ, however many there are."""
        a, b = LatencyHistogram(), LatencyHistogram()
        for _ in range(10_000):
            a.add(100_000)
            b.add(100_001)
        for each in (50_000, 200_000):
            a.add(each)
            b.add(each)
        told = compare(storedResult(times=a), storedResult(times=b)).differences
        self.assertEqual([each.verdict for each in told[:3]], [ComparisonVerdict.SAME] * 3)

    def test_ranks(self) -> None:
        """Of a hundred the median lies between the 37th and the 64th; no percentile of few has both ends."""
        self.assertEqual(ranks(100, 0.5), (37, 64))
        self.assertEqual(ranks(100, 0.999)[1], 101)
        self.assertEqual((ranks(7, 0.5), ranks(0, 0.5)), ((0, 8), (0, 1)))

    def test_loss(self) -> None:
        """Shares of lost ones differ where chance alone hardly makes them; of nothing nothing is told."""
        for sent, received, says in (
            (1000, 1000, "no difference that could be told"),
            (1000, 900, "more, more than noise"),
            (0, 0, "too few to tell"),
        ):
            a, b = (
                storedResult(sent=1000, received=1000),
                storedResult(sent=sent, received=received),
            )
            self.assertEqual(verdicts(a, b)["loss"], says)
        a, b = storedResult(sent=1000, received=900), storedResult(sent=1000, received=990)
        self.assertEqual(verdicts(a, b)["loss"], "less by 90 %, more than noise")

    def test_few(self) -> None:
        """Of few times, or of none, no difference is told, save one that leaves no doubt."""
        for a, b in (
            (storedResult(), storedResult()),
            (storedResult(1), storedResult(100)),
            (storedResult(1), storedResult()),
        ):
            told = compare(a, b).differences[:4]
            self.assertEqual({str(each) for each in told}, {"too few to tell"})
        # The least that the 99.9th percentile can be is above the most of the other.
        a, b = storedResult(*[1] * 6000), storedResult(*[50] * 100)
        self.assertEqual(verdicts(a, b)["p99.9"], "slower by a factor of 50.0, more than noise")

    def test_words(self) -> None:
        """A difference of little is told with a digit more, one of much as a factor; beside 0 there is no ratio."""
        for a, says in (
            (100, "slower by 5.0 %, more than noise"),
            (50, "slower by 110 %, more than noise"),
            (10, "slower by a factor of 10.5, more than noise"),
            (0, "slower, more than noise"),
        ):
            told = MetricDifference("p50", Estimate(a), Estimate(105), ComparisonVerdict.MORE)
            self.assertEqual(str(told), says)

    def test_unlike(self) -> None:
        """Results of different kinds are not compared, nor those without times."""
        for a, b, says in (
            (storedResult(), storedResult(measured="response", command="load"), "can be compared"),
            (storedVerification(), storedVerification(), "a.json has no times"),
        ):
            with self.assertRaisesRegex(ReportError, says):
                compare(a, b)
