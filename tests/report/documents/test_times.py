from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from hdrh.histogram import HdrHistogram
from msgspec import ValidationError, convert
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import MAX_INTEGER
from echoproto.measure.latency import LONGEST_TIME_NS, LatencyHistogram
from echoproto.report.documents.times import (
    TimesValues,
    checkHistogram,
    decodeOtherTimes,
    decodeTimes,
    timeFigures,
    timesStruct,
)
from tests.report.sampleresults import MS, histogramOf


class TimesValuesTests(SynchronousTestCase):
    def refused(self, message: str, **values: object) -> None:
        state = {**histogramOf(1, 2, 3).state(), **values}
        with self.assertRaisesRegex(ValidationError, message):
            convert(state, TimesValues)

    def test_figures(self) -> None:
        """Figures that contradict each other are invalid."""
        self.refused("contradict", min_ns=4_000_000)
        self.refused("contradict", sum_ns="1")
        self.refused("contradict", sum_ns="9000001")
        self.refused("contradict", squares_ns2="1")
        self.refused("contradict", squares_ns2="9" * 20)

    def test_digits(self) -> None:
        """Sums are decimal digits, at most 60."""
        for digits in ("-1", "1.0", "", "٣", "9" * 61):
            self.refused(r"\$.sum_ns", sum_ns=digits)

    def test_counts(self) -> None:
        """A count is an integer from 0 to the limit of histograms; a boolean is not one."""
        invalid: list[object] = [-1, MAX_INTEGER + 1, 1.5, True, "1", None, []]
        for count in invalid:
            self.refused(r"\$.count", count=count)


class HistogramTests(SynchronousTestCase):
    def test_restored(self) -> None:
        """Times are restored exactly."""
        extremes = LatencyHistogram()
        for time in (0, 1, LONGEST_TIME_NS):
            extremes.add(time)
        for times in (LatencyHistogram(), histogramOf(1, 2, 2, 3000), extremes):
            found = decodeTimes(timesStruct(times), "x")
            self.assertEqual(found.state(), times.state())

    def refused(self, histogram: str) -> None:
        values = convert({**histogramOf(1, 2, 3).state(), "histogram": histogram}, TimesValues)
        with self.assertRaisesRegex(ValueError, "^x.histogram: invalid histogram$"):
            decodeTimes(values, "x")

    def test_figures(self) -> None:
        """The figures of an assertion have the names of a summary; an empty histogram has none."""
        self.assertEqual(timeFigures(histogramOf()), {})
        figures = timeFigures(histogramOf(1, 2, 3))
        self.assertEqual((figures["min"], figures["avg"], figures["max"]), (MS, 2 * MS, 3 * MS))

    def test_buckets(self) -> None:
        """Invalid buckets, and buckets that contradict the count, are refused."""
        for buckets in (b"\x80", b"\x02" * 40_000, b"\xff" * 18, b"\xfe" * 9):
            self.refused(encoded(buckets))
        self.refused(histogramOf(1, 2).state()["histogram"])

    def test_ours(self) -> None:
        """A histogram in our encoding passes the check."""
        made = HdrHistogram(1, LONGEST_TIME_NS, 3)
        made.record_value(5)
        checkHistogram(made.encode().decode())
        checkHistogram(encoded(b"\x09\x02"))

    def test_foreign(self) -> None:
        """Another encoding, other parameters or excessive length are refused before decoding."""
        for header in (
            {"outer": 0},
            {"cookie": 0},
            {"offset": 1},
            {"digits": 5},
            {"lowest": 2},
            {"highest": 1 << 62},
            {"ratio": 2.0},
        ):
            self.assertRaises(ValueError, checkHistogram, encoded(b"\x02", **header))
        good = base64.b64decode(encoded(b"\x02"))
        more = good[:4] + struct.pack(">I", len(good) - 7) + good[8:] + b"\0"
        damaged = good[:8] + b"\xff" + good[9:]
        for data in (good[:8], good[:-1], damaged, more, base64.b64decode(encoded(bytes(1 << 24)))):
            self.assertRaises(ValueError, checkHistogram, base64.b64encode(data).decode())
        for text in ("", "*", "ü", "A"):
            self.assertRaises(ValueError, checkHistogram, text)


def encoded(buckets: bytes, **header: Any) -> str:
    """A histogram with these buckets, and with our header except for these values."""
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


class DecodeOtherTimesTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Histograms are decoded by name, without empty ones; an error names the field."""
        times, empty = timesStruct(histogramOf(1, 2)), timesStruct(LatencyHistogram())
        found = decodeOtherTimes("a.", service=times, connect=empty)
        self.assertEqual(list(found), ["service"])
        self.assertEqual(found["service"].state(), histogramOf(1, 2).state())
        damaged = replace(times, histogram="*")
        with self.assertRaisesRegex(ValueError, "a.service.histogram: invalid histogram"):
            decodeOtherTimes("a.", service=damaged)
