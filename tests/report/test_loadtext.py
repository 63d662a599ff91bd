from __future__ import annotations

from collections import Counter

from msgspec import UNSET
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LONGEST_TIME_NS, LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.ramp import RampStep
from echoproto.report.loadtext import (
    heldRate,
    histogramLines,
    intervalLine,
    loadLine,
    loadSummary,
    rampLines,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf, loadResult

MS = 1_000_000


class LoadTests(SynchronousTestCase):
    def test_closed(self) -> None:
        """A closed loop has only service times."""
        self.assertEqual(
            loadSummary(loadResult(service=histogramOf(1, 1, 1))),
            """--- tcp://lab1:7 load ---
10 sent, 9 received, 1 lost, 0 wrong, time 2.000 s
4.5 exchanges/s, 10.0 KiB/s out, 9.0 KiB/s in
0 connections; messages of 64 bytes
connect min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms
           min    p50    p90    p95    p99  p99.9    max  (ms, n=3)
service  1.000  1.000  1.000  1.000  1.000  1.000  1.000""",
        )

    def test_one(self) -> None:
        """One connection, one byte and one error are in the singular."""
        result = loadResult(connected=1, plan=LoadPlan(sizes=(1, 1)), errors=Counter(refused=1))
        summary = loadSummary(result)
        self.assertIn("\n1 connection; messages of 1 byte\n", summary)
        self.assertIn("\n1 time: refused", summary)

    def test_progress(self) -> None:
        """The progress is a line; duplicates are in the summary."""
        self.assertEqual(loadLine(3, 2, 1), "3 sent, 2 received, 1 wrong")
        self.assertIn("9 received, +2 duplicates, 1 lost", loadSummary(loadResult(duplicates=2)))

    def test_open(self) -> None:
        """An open loop has both times and its rate; errors and limits are shown."""
        summary = loadSummary(
            loadResult(
                plan=LoadPlan(rate=5.0, times=iter(())),
                response=histogramOf(9),
                late=histogramOf(8),
                errors=Counter({"refused": 3, "lost": 4}),
            )
        ).splitlines()
        self.assertEqual(summary[2], "4.5 exchanges/s (target 5.0), 10.0 KiB/s out, 9.0 KiB/s in")
        self.assertTrue(summary[6].startswith("response  9.000"))
        self.assertEqual(
            summary[8:],
            [
                "4 times: lost",
                "3 times: refused",
                "limited by the client: 1 % of the messages were sent 8.0 ms late or more",
            ],
        )

    def test_nothing(self) -> None:
        """Without replies there are no times."""
        empty = LatencyHistogram()
        summary = loadSummary(loadResult(duration=0, received=0, service=empty, connecting=empty))
        self.assertEqual(
            summary.splitlines()[2:],
            ["0.0 exchanges/s, 0 B/s out, 0 B/s in", "0 connections; messages of 64 bytes"],
        )

    def test_interval(self) -> None:
        """A part of a load has its rate and, if there were replies, its times."""
        self.assertEqual(intervalLine(Interval(0, 5, 0), MS), "0.0 exchanges/s")
        self.assertEqual(
            intervalLine(Interval(0, 5, 4, UNSET, MS, 2 * MS, 3 * MS, 4 * MS), 2000 * MS),
            "2.0 exchanges/s, p50 2.000 ms, p99 3.000 ms",
        )

    def test_hint(self) -> None:
        """The probable reason of missing replies is a line."""
        second = Interval(at=0, sent=9000, received=0)
        result = loadResult(target="udp://lab1", sent=9000, received=1000, intervals=[second])
        summary = loadSummary(result)
        self.assertIn("\nreplies are missing: an echoproto server answers 1000", summary)

    def test_connections(self) -> None:
        """Failed and lost connections are in the headline too."""
        plan = LoadPlan(sizes=(1, 9))
        result = loadResult(plan=plan, connected=4, connectFailures=3, disconnects=1)
        lines = loadSummary(result).splitlines()
        self.assertEqual(lines[0], "--- tcp://lab1:7 load: 3 failed, 1 lost ---")
        self.assertEqual(lines[3], "4 connections, 3 failed, 1 lost; messages of 1 to 9 bytes")


class HistogramTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Every step between the shortest and the longest time has a row, with its bar."""
        self.assertEqual(
            histogramLines(histogramOf(1, 1, 1, 1, 2, 9)),
            [
                "<=       1.000 ms         4  66.67%  " + "#" * 40,
                "<=       2.000 ms         1  16.67%  " + "#" * 10,
                "<=       5.000 ms         0   0.00%",
                "<=      10.000 ms         1  16.67%  " + "#" * 10,
            ],
        )

    def test_limits(self) -> None:
        """It has no row without times, and one for the longest time; lines fit a terminal."""
        self.assertEqual(histogramLines(LatencyHistogram()), [])
        times = LatencyHistogram()
        times.add(2 * LONGEST_TIME_NS)
        [line] = histogramLines(times)
        self.assertLessEqual(len(line), 80)


class RampTextTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Every rate has a line, with the reason if it was not held, and the highest is named."""
        counts = IntervalCounts()
        counts.service.merge(histogramOf(1, 3))
        held, failed = RampStep(2, SECOND, counts), RampStep(4, SECOND, counts, ["p99<2ms"])
        times = "2.0 exchanges/s, p50 1.000 ms, p99 3.000 ms"
        expected = [f"at 2.0/s: {times}", f"at 4.0/s: {times}; not held: p99<2ms"]
        self.assertEqual(rampLines([held, failed]), [*expected, "highest rate that held: 2.0/s"])
        self.assertEqual(rampLines([failed])[-1], "no rate was held")
        self.assertEqual((rampLines([]), heldRate([])), ([], 0))
