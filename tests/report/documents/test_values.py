from __future__ import annotations

from msgspec import ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.report.documents.values import (
    IntervalValues,
    Values,
    checkWidth,
    directionFigures,
    intervalStructs,
    intervalValues,
    plainValues,
    storedOf,
    valuesOf,
)
from echoproto.units import SECOND
from tests.report.sampleresults import histogramOf, loadResult


class IntervalValuesTests(SynchronousTestCase):
    def test_times(self) -> None:
        """An interval with replies has times."""
        convert({"at_ns": 0, "sent": 1, "received": 0}, IntervalValues)
        with self.assertRaisesRegex(ValidationError, "replies without times"):
            convert({"at_ns": 0, "sent": 1, "received": 1}, IntervalValues)
        self.assertEqual(intervalStructs([]), [])

    def test_intervalValues(self) -> None:
        """The times of an interval are null without replies; a load has wrong replies."""
        names = ("at_ns", "sent", "received", "min_ns", "p50_ns", "p99_ns", "max_ns")
        for values in ((SECOND, 9, 8, 1, 2, 3, 4), (SECOND, 9, 0, None, None, None, None)):
            line = intervalValues(Interval(*values))
            self.assertEqual(line, dict(zip(names, values, strict=True)))
        self.assertEqual(intervalValues(Interval(0, 1, 0, wrong=0))["wrong"], 0)

    def test_interval(self) -> None:
        """The interval of a struct is that of which it was made."""
        for interval in (Interval(0, 5, 4, 1, 2, 3, 4, 0), Interval(SECOND, 5, 0)):
            self.assertEqual(intervalStructs([interval])[0].interval(), interval)

    def test_width(self) -> None:
        """Intervals have a width."""
        intervals = intervalStructs([Interval(0, 5, 0)])
        checkWidth(SECOND, intervals)
        checkWidth(None, [])
        self.assertRaisesRegex(ValueError, "missing width", checkWidth, None, intervals)


class SomeValues(Values, frozen=True, kw_only=True):
    """Some fields of a load, and one of its own."""

    target: str
    sent: int
    received: int
    duration: int
    late: object
    note: str = ""


class ValuesTests(SynchronousTestCase):
    def test_attributes(self) -> None:
        """Fields are attributes of the same name, unless there is another value or a default."""
        values = valuesOf(SomeValues, loadResult(late=histogramOf(1)), sent=99)
        self.assertEqual((values.target, values.sent, values.note), ("tcp://lab1:7", 99, ""))
        plain = plainValues(values)
        self.assertEqual((plain["duration_ns"], plain["late"]["count"]), (2 * SECOND, 1))

    def test_stored(self) -> None:
        """A stored result has the fields of a struct, and its rate; without a time that is 0."""
        for duration, rate in ((2 * SECOND, 4.5), (0, 0.0)):
            values = valuesOf(SomeValues, loadResult(duration=duration))
            stored = storedOf(
                values, "a.json", command="load", counts={}, measured="", times=histogramOf()
            )
            self.assertEqual((stored.files, stored.rate, stored.width), (("a.json",), rate, 0))

    def test_directions(self) -> None:
        """The share of losses in a direction is that of all probes; 0 if none was sent."""
        figures = directionFigures(10, 1, 2, 3)
        self.assertEqual((figures["loss-up"], figures["loss-down"]), (0.1, 0.2))
        self.assertEqual(directionFigures(0, 0, 0, 0)["loss-up"], 0)
