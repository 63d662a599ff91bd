from __future__ import annotations

from array import array

from msgspec import UNSET, to_builtins
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import (
    MAX_INTERVALS,
    Interval,
    IntervalSeries,
    intervalsOf,
    joined,
    secondsOf,
    widened,
)
from echoproto.text.units import SECOND

MS = 1_000_000


class IntervalTests(SynchronousTestCase):
    def test_times(self) -> None:
        """An interval with replies has times."""
        Interval(0, 1, 0)
        with self.assertRaisesRegex(ValueError, "replies without times"):
            Interval(0, 1, 1)

    def test_plain(self) -> None:
        """In JSON its times are null without replies; only a load has wrong replies."""
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        for replies, times in ((8, (1, 2, 3, 4)), (0, (None, None, None, None))):
            plain = to_builtins(Interval(SECOND, 9, replies, UNSET, *times))
            self.assertEqual(plain, dict(zip(names, (SECOND, 9, replies, *times), strict=True)))
        self.assertEqual(to_builtins(Interval(0, 1, 0, 0))["wrong"], 0)


class IntervalsTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        """Each second has the probes that were sent in it, and their times."""
        began = 5 * SECOND
        sentAt = array("q", [began, began + SECOND - 1, began + SECOND, began + 3 * SECOND])
        width, found = intervalsOf(sentAt, array("q", [7 * SECOND, 1, -1, 0]))
        self.assertEqual(width, SECOND)
        self.assertEqual(
            found,
            [
                Interval(0, 2, 2, UNSET, 1, 1, 7 * SECOND, 7 * SECOND),
                Interval(SECOND, 1, 0),
                Interval(2 * SECOND, 0, 0),
                Interval(3 * SECOND, 1, 1, UNSET, 0, 0, 0, 0),
            ],
        )

    def test_percentiles(self) -> None:
        """Median and 99th percentile are exact, by nearest rank."""
        for count, median, p99 in ((100, 50, 99), (200, 100, 198), (101, 51, 100), (3, 2, 3)):
            took = array("q", range(count, 0, -1))
            _, (found,) = intervalsOf(array("q", [0] * count), took)
            self.assertEqual(found, Interval(0, count, count, UNSET, 1, median, p99, count))

    def test_long(self) -> None:
        """A long run has at most a thousand intervals, and every probe is in one."""
        for seconds, width, length in (
            (MAX_INTERVALS, 1, MAX_INTERVALS),
            (MAX_INTERVALS + 1, 2, 501),
            (86_400, 87, 994),
        ):
            sentAt = array("q", (number * SECOND for number in range(seconds)))
            found = intervalsOf(sentAt, array("q", [MS] * seconds))
            self.assertEqual((found[0], len(found[1])), (width * SECOND, length))
            self.assertEqual(sum(interval.sent for interval in found[1]), seconds)

    def test_widened(self) -> None:
        """For charts, neighbours are joined to at most a thousand; maxima are kept."""
        few = [Interval(0, 1, 1, UNSET, 1, 2, 3, 4)]
        self.assertEqual(widened(SECOND, few), (SECOND, few))
        self.assertEqual(widened(SECOND, []), (SECOND, []))
        many = [
            Interval(0, 5, 4, UNSET, 3, 4, 9, 10),
            Interval(1, 5, 0),
            Interval(2, 2, 1, UNSET, 1, 2, 3, 4),
            *[Interval(number, 1, 0) for number in range(3, 2001)],
        ]
        width, found = widened(SECOND, many)
        self.assertEqual((width, len(found)), (3 * SECOND, 667))
        self.assertEqual(found[0], Interval(0, 12, 5, UNSET, 1, 2, 9, 10))
        self.assertEqual(found[1], Interval(3, 3, 0))

    def test_secondsOf(self) -> None:
        """A part of a run is divided into its seconds, with those without a probe."""
        sentAt = array("q", [7 * SECOND, 9 * SECOND])
        found = list(secondsOf(5 * SECOND, sentAt, array("q", [3, -1]), end=5, first=2))
        self.assertEqual(
            found,
            [
                Interval(2 * SECOND, 1, 1, UNSET, 3, 3, 3, 3),
                Interval(3 * SECOND, 0, 0),
                Interval(4 * SECOND, 1, 0),
            ],
        )

    def test_series(self) -> None:
        """A run of any length has a bounded number of intervals, and every probe is in one."""
        for seconds, width in ((999, 1), (1999, 2), (2001, 4), (10_001, 16)):
            series = IntervalSeries()
            for second in range(seconds - 1):
                series.add(Interval(second * SECOND, 2, 1, UNSET, 1, 2, 3, 4))
            last = Interval((seconds - 1) * SECOND, 2, 0)
            found = series.extended([last])
            self.assertEqual((found[0], series.seconds), (width * SECOND, seconds - 1))
            self.assertLessEqual(len(found[1]), MAX_INTERVALS)
            self.assertEqual(sum(interval.sent for interval in found[1]), 2 * seconds)
            starts = [interval.at for interval in found[1]]
            self.assertEqual(starts, list(range(0, seconds * SECOND, width * SECOND)))

    def test_wrong(self) -> None:
        """The wrong replies of joined intervals are added, if they are counted."""
        pair = [Interval(0, 1, 0, wrong=2), Interval(SECOND, 1, 1, 3, 1, 2, 3, 4)]
        self.assertEqual(joined(pair), Interval(0, 2, 1, 5, 1, 2, 3, 4))
        self.assertEqual(joined(pair[:1]), pair[0])

    def test_none(self) -> None:
        """A run without probes has no intervals."""
        self.assertEqual(intervalsOf(array("q"), array("q")), (SECOND, []))
