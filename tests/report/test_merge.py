from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from random import Random

import msgspec
from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ReportError
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.report.merge import MAX_MERGED_INTERVALS, mergeResults
from echoproto.text.units import SECOND
from tests.report.sampleresults import (
    MS,
    histogramOf,
    sampleOrigin,
    storedResult,
    storedVerification,
)


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
        """Counts are added; without known beginnings the duration is the longest."""
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
        self.assertEqual(merged.remarks[1:], ("different options: size_bytes (64, 100)",))

    def test_overlap(self) -> None:
        """Rates of runs at the same time are added; other runs have the rate of the whole time."""
        cases = (
            ((0, 0.05), 9.0, 2.05, ""),
            ((0, 1), 6.0, 3.0, "the runs overlap for only 1 s of 3 s; the rate is not the sum"),
            ((5, 0), 18 / 7, 7.0, "b.json had ended; the rate is not the sum of the rates, but"),
        )
        for (after, other), rate, lasted, remark in cases:
            merged = mergeResults(
                [
                    storedResult(1, origins=(sampleOrigin("lab1", after),)),
                    storedResult(
                        1, files=("b.json",), origins=(sampleOrigin("lab2", other, site="roof"),)
                    ),
                ]
            )
            self.assertAlmostEqual(merged.rate, rate)
            self.assertEqual(merged.duration, round(lasted * SECOND))
            self.assertIn(remark, " ".join(merged.remarks))
            self.assertEqual(len(merged.remarks), bool(remark))
            self.assertEqual((merged.hosts, merged.labels), (("lab1", "lab2"), {}))
        again = mergeResults([merged, storedResult(1, origins=(sampleOrigin("lab3", 0, 7),))])
        self.assertEqual(again.duration, 7 * SECOND)

    def test_farApart(self) -> None:
        """A long time between two runs, as of hosts with different clocks, is in a large unit."""
        day = 24 * 60 * 60
        runs = [storedResult(1, origins=(sampleOrigin("lab1", at),)) for at in (0, 400 * day)]
        [remark, *_] = mergeResults(runs).remarks
        self.assertIn("began 399 days after", remark)
        self.assertIn("but that of these 400 days", remark)

    def test_unknown(self) -> None:
        """Rates are added with a remark if it is unknown when some runs began."""
        known = storedResult(1, origins=(sampleOrigin(),))
        merged = mergeResults([known, *[storedResult(1, files=(name,)) for name in "abcd"]])
        self.assertEqual((merged.rate, merged.intervals), (22.5, ()))
        says = "unknown when a, b, c and 1 more began; the rate is the sum, as of runs at the same"
        self.assertEqual(merged.remarks, (f"{says} time",))

    def test_repeated(self) -> None:
        """A run that is merged twice is counted twice, with a remark that names the files."""
        run = storedResult(1, origins=(sampleOrigin(),))
        again = replace(run, files=("again.json",))
        merged = mergeResults([run, again, replace(run, target="udp://lab2:7")])
        self.assertEqual(merged.sent, 30)
        said = (
            "the same run is counted more than once: udp://lab1:7 from lab1 in a.json, again.json"
        )
        self.assertEqual(merged.remarks, (said,))

    def test_missingShare(self) -> None:
        """A missing share of a load is a remark until it is merged, too."""
        shares = [
            storedResult(origins=(msgspec.structs.replace(sampleOrigin(), options=options),))
            for options in ({"share": [0, 2]}, {"share": [1, 2]}, {})
        ]
        some = mergeResults(shares[::2])
        self.assertIn("missing of the shares of --share: 1/2", some.remarks)
        self.assertNotIn("missing", " ".join(mergeResults([some, shares[1]]).remarks))

    def test_parts(self) -> None:
        """The files of all parts are kept, those of a part that was merged before, too."""
        stored = storedResult(1, files=("all.json",), parts=("a.json", "b.json"))
        merged = mergeResults([stored, storedResult(1, files=("c.json",))])
        self.assertEqual(merged.files, ("all.json", "c.json"))
        self.assertEqual(merged.parts, ("a.json", "b.json", "c.json"))

    def test_intervals(self) -> None:
        """Seconds are added by the wall clock, without gaps, if all runs have them."""
        first = storedResult(1, origins=(sampleOrigin("lab1"),))
        late = storedResult(1, origins=(sampleOrigin("lab2", 1.04),))
        merged = mergeResults([first, late])
        self.assertEqual(merged.width, SECOND)
        self.assertEqual(
            [(found.at, found.sent, found.received) for found in merged.intervals],
            [(0, 5, 5), (SECOND, 10, 5), (2 * SECOND, 5, 0)],
        )
        self.assertEqual(merged.intervals[1].maximum, 4 * MS)
        after = replace(late, origins=(sampleOrigin("lab2", 4),))
        found = mergeResults([first, after]).intervals
        self.assertEqual([interval.sent for interval in found], [5, 5, 0, 0, 5, 5])
        self.assertEqual(mergeResults([first, replace(late, intervals=())]).intervals, ())
        distant = replace(late, origins=(sampleOrigin("lab2", 1_000_000),))
        far = mergeResults([first, distant])
        self.assertEqual(far.width, 11 * SECOND)
        self.assertLessEqual(len(far.intervals), MAX_MERGED_INTERVALS)

    def test_shares(self) -> None:
        """
        Each second of loads that began less than half a second apart is the sum of their seconds,
        and all seconds are the sum of the loads.
        """
        random = Random(15)
        parts = [[random.randrange(1, 1000) for _ in range(length)] for length in (30, 31, 30)]
        results = [
            storedResult(
                1,
                received=sum(counts),
                origins=(sampleOrigin(f"lab{number}", 0.24 * number),),
                intervals=tuple(
                    Interval(second * SECOND, count, count, UNSET, MS, MS, MS, MS)
                    for second, count in enumerate(counts)
                ),
            )
            for number, counts in enumerate(parts)
        ]
        merged = mergeResults(results)
        found = [interval.received for interval in merged.intervals]
        self.assertEqual(found, [sum(counts) for counts in zip_longest(*parts, fillvalue=0)])
        self.assertEqual((sum(found), merged.width), (merged.received, SECOND))

    def test_otherTimes(self) -> None:
        """Service times and times to connect are merged exactly too."""
        merged = mergeResults(
            [
                storedResult(1, otherTimes={"service": histogramOf(1), "connect": histogramOf(2)}),
                storedResult(1, otherTimes={"service": histogramOf(3)}),
            ]
        ).otherTimes
        self.assertEqual(merged["service"].state(), histogramOf(1, 3).state())
        self.assertEqual(merged["connect"].state(), histogramOf(2).state())

    def test_limits(self) -> None:
        """The limit of a client has its host."""
        results = [
            storedResult(1, origins=(sampleOrigin(host),), limits=("it was busy",))
            for host in ("lab1", "lab2")
        ]
        merged = mergeResults(results)
        self.assertEqual(merged.limits, ("lab1: it was busy", "lab2: it was busy"))
        again = mergeResults([mergeResults(results[:1] * 2), results[1]])
        self.assertEqual(again.limits, merged.limits)
        self.assertEqual(mergeResults([merged, merged]).limits, merged.limits)

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
            ([storedVerification(counts={"wrong": 1 << 61})] * 2, "sums are too large"),
        ):
            with self.assertRaisesRegex(ReportError, says):
                mergeResults(results)
