from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.ping.echoplus import LossDirections
from echoproto.report.documents.values import (
    Values,
    checkWidth,
    directionFigures,
    plainValues,
    storedOf,
    valuesOf,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import histogramOf, loadResult


class WidthTests(SynchronousTestCase):
    def test_width(self) -> None:
        """Intervals have a width."""
        intervals = [Interval(0, 5, 0)]
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
        figures = directionFigures(10, LossDirections(1, 2, 3))
        self.assertEqual((figures["loss-up"], figures["loss-down"]), (0.1, 0.2))
        self.assertEqual(directionFigures(0, LossDirections(0, 0, 0))["loss-up"], 0)
