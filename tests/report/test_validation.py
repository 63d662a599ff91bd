from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from hdrh.histogram import HdrHistogram
from twisted.trial.unittest import SynchronousTestCase

from echoproto.escape import escaped
from echoproto.measure.latency import LONGEST_TIME_NS, LatencyHistogram
from echoproto.report.validation import MOST, InvalidDocument, JSONObject, checkHistogram
from tests.report.sampleresults import histogramOf

#: Values that are none of what is looked for.
NOT_OBJECTS: list[Any] = [[], "x", 1, None]
NOT_COUNTS: list[Any] = [-1, MOST + 1, 1.0, True, "1", None, [], float("nan")]
NOT_NUMBERS: list[Any] = [-0.1, float("inf"), float("nan"), True, "1", None]
NOT_LISTS: list[Any] = [[{}, {}], {}, "x"]


class FieldsTests(SynchronousTestCase):
    def refused(self, method: str, value: Any, says: str, *more: Any) -> None:
        with self.assertRaises(InvalidDocument) as caught:
            getattr(JSONObject({"x": value}, "it[0]"), method)("x", *more)
        self.assertEqual(str(caught.exception), says)
        self.assertIn("measure again", caught.exception.remedy)

    def test_objects(self) -> None:
        """Only an object has fields; what is wrong is named with its way from the outermost."""
        for value in NOT_OBJECTS:
            self.assertRaisesRegex(InvalidDocument, "it is no object", JSONObject, value)
        self.refused("inner", 5, "it[0].x is no object")
        self.assertEqual(JSONObject({"a": {"b": 5}}).inner("a").count("b"), 5)

    def test_counts(self) -> None:
        """A count is a whole number that histograms have room for; true is none."""
        self.assertEqual([JSONObject({"x": each}).count("x") for each in (0, MOST)], [0, MOST])
        for each in NOT_COUNTS:
            self.refused("count", each, "it[0].x is no whole number")
        with self.assertRaisesRegex(InvalidDocument, "^y is missing; it should be a whole number$"):
            JSONObject({}).count("y")

    def test_numbers(self) -> None:
        """A number may be a broken one, but neither endless nor none."""
        self.assertEqual([JSONObject({"x": each}).number("x") for each in (0, 1.5)], [0.0, 1.5])
        for each in NOT_NUMBERS:
            self.refused("number", each, "it[0].x is no number")

    def test_missing(self) -> None:
        """What is missing and what is null is not there."""
        fields = JSONObject({"x": None, "y": 0})
        self.assertEqual([fields.has(each) for each in "xyz"], [False, True, False])
        self.assertEqual([fields.perhaps(each) for each in "xyz"], [None, 0, None])

    def test_texts(self) -> None:
        """Text does nothing to a terminal."""
        self.assertEqual(JSONObject({"x": "\x1b[2J\nüber"}).text("x"), "\\x1b[2J\\nüber")
        self.assertEqual(escaped("\ud800\u202e"), "\\ud800\\u202e")
        self.refused("text", 5, "it[0].x is no text")

    def test_lists(self) -> None:
        """The objects of a list are numbered; it is no longer than it may be."""
        (only,) = JSONObject({"x": [{"y": 7}]}).items("x", 1)
        self.assertEqual(only.count("y"), 7)
        self.refused("items", [{}, 5], "it[0].x[1] is no object", 2)
        for each in NOT_LISTS:
            self.refused("items", each, "it[0].x is no list of 1 at most", 1)


class SpreadTests(SynchronousTestCase):
    def test_restored(self) -> None:
        """Times are as they were written."""
        outermost = LatencyHistogram()
        for time in (0, 1, LONGEST_TIME_NS):
            outermost.add(time)
        for each in (LatencyHistogram(), histogramOf(1, 2, 2, 3000), outermost):
            state = each.state()
            self.assertEqual(JSONObject({"x": state}).spread("x").state(), state)

    def refused(self, says: str, **values: Any) -> None:
        state = {**histogramOf(1, 2, 3).state(), **values}
        with self.assertRaisesRegex(InvalidDocument, f"^{says}"):
            JSONObject({"x": state}).spread("x")

    def test_unfit(self) -> None:
        """Figures that cannot be of the same times are refused."""
        self.refused("the figures of x", min_ns=4_000_000)
        self.refused("the figures of x", sum_ns="1")
        self.refused("the figures of x", sum_ns="9000001")
        self.refused("the figures of x", squares_ns2="1")
        self.refused("the figures of x", squares_ns2="9" * 20)
        for each in ("-1", "1.0", "", "٣", "9" * 61):
            self.refused("x.sum_ns is no number in digits", sum_ns=each)
        self.refused("the histogram of x", histogram=histogramOf(1, 2).state()["histogram"])

    def test_histogram(self) -> None:
        """Buckets that no histogram has are refused."""
        for buckets in (b"\x80", b"\x02" * 40_000, b"\xff" * 18):
            self.refused("x.histogram is no histogram", histogram=encoded(buckets))
        self.refused("the histogram of x has not as many", histogram=encoded(b"\xfe" * 9))


def encoded(buckets: bytes, **header: Any) -> str:
    """A histogram of these buckets, and of a header that is ours save for what is given."""
    values: dict[str, Any] = {
        "cookie": 0x1C849313,
        "length": len(buckets),
        "offset": 0,
        "digits": 3,
        "lowest": 1,
        "highest": LONGEST_TIME_NS,
        "ratio": 1.0,
        "outer": 0x1C849314,
    }
    values.update(header)
    outer = values.pop("outer")
    inner = zlib.compress(struct.pack(">IIIIQQd", *values.values()) + buckets)
    return base64.b64encode(struct.pack(">II", outer, len(inner)) + inner).decode()


class HistogramTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """What a histogram of ours is encoded as is known."""
        made = HdrHistogram(1, LONGEST_TIME_NS, 3)
        made.record_value(5)
        checkHistogram(made.encode().decode(), "x")
        checkHistogram(encoded(b"\x09\x02"), "x")

    def test_foreign(self) -> None:
        """What is not encoded so, of another kind, or longer than any is refused before it is decoded."""
        for header in (
            {"outer": 0},
            {"cookie": 0},
            {"offset": 1},
            {"digits": 5},
            {"lowest": 2},
            {"highest": 1 << 62},
            {"ratio": 2.0},
        ):
            with self.assertRaisesRegex(InvalidDocument, "x is no histogram of times"):
                checkHistogram(encoded(b"\x02", **header), "x")
        good = base64.b64decode(encoded(b"\x02"))
        more = good[:4] + struct.pack(">I", len(good) - 7) + good[8:] + b"\0"
        for data in (good[:8], good[:-1], more, base64.b64decode(encoded(bytes(1 << 24)))):
            with self.assertRaisesRegex(InvalidDocument, "x is no histogram"):
                checkHistogram(base64.b64encode(data).decode(), "x")
        for text in ("", "*", "ü", "A"):
            with self.assertRaisesRegex(InvalidDocument, "x is no histogram"):
                checkHistogram(text, "x")
