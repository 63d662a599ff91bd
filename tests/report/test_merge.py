from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ReportError
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.report.merge import mergeResults
from echoproto.units import SECOND
from tests.report.sampleresults import storedResult, storedVerification


class MergeTests(SynchronousTestCase):
    def test_exact(self) -> None:
        """Merged percentiles equal those of one histogram of all times, also after storage."""
        random = Random(862)
        whole, parts = LatencyHistogram(), []
        for _ in range(7):
            part = LatencyHistogram()
            for _ in range(2000):
                time = round(random.lognormvariate(13, 1.5))
                part.add(time)
                whole.add(time)
            parts.append(storedResult(times=LatencyHistogram.restored(part.state())))
        merged = mergeResults(parts).times
        self.assertEqual(merged.state(), whole.state())
        percents = (*PERCENTILES.values(), 0.01, 25, 99.99, 100)
        self.assertEqual(merged.percentiles(*percents), whole.percentiles(*percents))

    def test_sums(self) -> None:
        """Counts and rates are added, the duration is the longest, and intervals are dropped."""
        merged = mergeResults(
            [
                storedResult(1, 2, counts={"corrupt": 1, "late": 2}),
                storedResult(
                    3, files=("b", "c"), duration=SECOND, counts={"corrupt": 4, "late": 0}
                ),
            ]
        )
        self.assertEqual((merged.sent, merged.received, merged.rate), (20, 18, 9.0))
        self.assertEqual((merged.duration, merged.intervals), (2 * SECOND, ()))
        self.assertEqual(merged.counts, {"corrupt": 5, "late": 2})
        self.assertEqual((merged.files, merged.target), (("a.json", "b", "c"), "udp://lab1:7"))

    def test_description(self) -> None:
        """Equal options remain, others are a remark; notes are added; the first start counts."""
        merged = mergeResults(
            [
                storedResult(
                    started=started,
                    options={"size_bytes": size, "count": 5},
                    limits=("busy",),
                    reasons={"gone": size},
                )
                for started, size in (("2026-02-01", 64), ("2026-01-01", 100))
            ]
        )
        self.assertEqual((merged.started, merged.options), ("2026-01-01", {"count": 5}))
        self.assertEqual((merged.limits, merged.reasons), (("busy",), {"gone": 164}))
        self.assertEqual(merged.remarks, ("different options: size_bytes (64, 100)",))

    def test_names(self) -> None:
        """A few targets are named; of many, only the number is shown."""
        for count, name in ((3, "lab0, lab1, lab2"), (4, "4 targets")):
            results = [storedResult(target=f"lab{number}") for number in range(count)]
            self.assertEqual(mergeResults(results).target, name)

    def test_one(self) -> None:
        """A single result is unchanged, with its intervals."""
        self.assertEqual(mergeResults([storedResult(1)]).intervals, storedResult(1).intervals)

    def test_bytes(self) -> None:
        """The bytes of verifications are added."""
        merged = mergeResults([storedVerification(), storedVerification(counts={"wrong": 3})])
        self.assertEqual((merged.sent, merged.counts, merged.measured), (4 << 20, {"wrong": 3}, ""))

    def test_unlike(self) -> None:
        """Results of different kinds, no results, or too large sums are not merged."""
        for results, says in (
            (
                [storedResult(), storedVerification(files=("b",))],
                "a.json has rtt times of ping, b has verify; only",
            ),
            ([], "nothing to merge"),
            ([storedResult(sent=1 << 61)] * 2, "sums are too large"),
        ):
            with self.assertRaisesRegex(ReportError, says):
                mergeResults(results)
