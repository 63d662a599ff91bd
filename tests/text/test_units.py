from __future__ import annotations

from collections.abc import Callable
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.text.units import (
    SECOND,
    counted,
    longTime,
    milliseconds,
    parseCount,
    parseDuration,
    parseInstant,
    parsePorts,
    parseRate,
    parseSeconds,
    parseSize,
    parseTimeout,
    seconds,
    size,
)


class DurationTests(SynchronousTestCase):
    def test_longText(self) -> None:
        """A text of any length is refused at once."""
        for text in ("9" * 100_000, "1s" * 50_000):
            self.assertRaises(ValueError, parseDuration, text)

    def test_units(self) -> None:
        """A duration consists of numbers with units; a bare number means seconds."""
        for text, time in (
            ("20ms", 20_000_000),
            ("1.5s", 1_500_000_000),
            ("3", 3_000_000_000),
            (".5", 500_000_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("9ns", 9),
            ("2m", 120_000_000_000),
            (" 1h ", 3_600_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1d", 86_400_000_000_000),
        ):
            self.assertEqual(parseDuration(text), time, text)

    def test_wrong(self) -> None:
        """Invalid durations raise an error with examples."""
        for text in (
            "",
            "ms",
            "-1s",
            "1 s",
            "1m30",
            "30s x",
            "nan",
            "9" * 400,
            "9" * 305,
            "9999999999h",
            "1e3",
        ):
            with self.assertRaisesRegex(ValueError, "examples: 30, 1.5s"):
                parseDuration(text)

    def test_shown(self) -> None:
        """Times are printed in milliseconds, limits in seconds."""
        self.assertEqual(milliseconds(311_400), "0.311")
        self.assertEqual(seconds(2_000_000_000), "2 s")
        self.assertEqual(seconds(500_000_000), "0.5 s")

    def test_longTime(self) -> None:
        """A long time has the largest unit of which there are two."""
        for duration, shown in (
            (217_923_000, "2522 days"),
            (47 * 3600, "47 hours"),
            (7199, "119 minutes"),
            (119, "119 s"),
        ):
            self.assertEqual(longTime(duration * SECOND), shown)


PARSERS: list[Callable[[str], object]] = [
    parseSeconds,
    parseTimeout,
    parseSize,
    parseRate,
    parseCount,
    parsePorts,
]


class ValuesTests(SynchronousTestCase):
    def wrong(self, parse: Callable[[str], object], *texts: str) -> None:
        for text in texts:
            with self.assertRaises(ValueError, msg=text) as raised:
                parse(text)
            self.assertEqual(len(str(raised.exception).splitlines()), 1)

    def test_seconds(self) -> None:
        """Settings are parsed into seconds."""
        written = {"30": 30, "1.5s": 1.5, "200ms": 0.2, "10m": 600, "2h": 7200, ".5": 0.5, "0": 0}
        self.assertEqual({text: parseSeconds(text) for text in written}, written)
        self.wrong(parseSeconds, "", "-1", "1w", "inf", "nan", "1e3", "s", "٣")

    def test_timeout(self) -> None:
        """A timeout of 0 means never."""
        self.assertEqual((parseTimeout("0"), parseTimeout("0ms")), (inf, inf))
        self.assertEqual(parseTimeout("1m"), 60)

    def test_rate(self) -> None:
        """A rate is a number, with or without ``/s``; ``k`` is a thousand."""
        self.assertEqual(
            [parseRate(text) for text in ("0", "2.5", "100/s", "5k")], [0, 2.5, 100, 5000]
        )
        self.wrong(parseRate, "", "-1", "fast", "inf", "nan", "1/m", "9" * 400)

    def test_count(self) -> None:
        """A count is a non-negative integer."""
        self.assertEqual([parseCount(text) for text in ("0", "42")], [0, 42])
        self.wrong(parseCount, "", "-1", "1.5", "1e3", "9" * 5000)

    def test_size(self) -> None:
        """A size is a number of bytes with a decimal or binary unit, at least one byte."""
        sizes = {"1000": 1000, "64MiB": 64 << 20, "1.5 gb": 1_500_000_000, "2k": 2000, "2KI": 2048}
        self.assertEqual({text: parseSize(text) for text in sizes}, sizes)
        self.wrong(parseSize, "", "0", "0.1", "many", "-1", "9" * 400)

    def test_counted(self) -> None:
        """A noun is in the singular after 1, and in the plural after every other number."""
        shown = [counted(number, "reply") for number in (0, 1, 2)]
        self.assertEqual(shown, ["0 replies", "1 reply", "2 replies"])
        self.assertEqual([counted(number, "byte") for number in (1, 64)], ["1 byte", "64 bytes"])

    def test_sizeShown(self) -> None:
        """Sizes are printed in binary units."""
        shown = [size(count) for count in (0, 1023, 1536, 5 << 20, 3 << 40)]
        self.assertEqual(shown, ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3072.0 GiB"])

    def test_ports(self) -> None:
        """Ports are separated by commas; ``none`` is an empty set."""
        self.assertEqual(parsePorts("7,19,0"), {0, 7, 19})
        self.assertEqual(parsePorts("none"), frozenset())
        self.wrong(parsePorts, "", "7,", "7 19", "65536", "-1", "all")

    @given(st.sampled_from(PARSERS), st.text())
    def test_anything(self, parse: Callable[[str], object], text: str) -> None:
        """Any text gives a value or a ValueError with a one-line message."""
        try:
            parse(text)
        except ValueError as error:
            self.assertEqual(len(str(error).splitlines()), 1)


class InstantTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """A time is a delay from now, a date with its zone, or seconds since 1970."""
        for text, instant in (
            ("+1.5s", 6_500_000_000),
            ("@7.25", 7_250_000_000),
            ("@.5", 500_000_000),
            ("1970-01-01T00:00:09Z", 9_000_000_000),
            ("1970-01-01T01:00:09.250000+01:00", 9_250_000_000),
            ("1969-12-31T23:59:59.500000z", -500_000_000),
        ):
            self.assertEqual(parseInstant(text, 5_000_000_000), instant, text)

    def test_invalid(self) -> None:
        """A date without a zone, which would be another time elsewhere, is an error."""
        for text in ("1970-01-01T00:00:09", "+", "@", "@1e3", "12:00", "soon", ""):
            with self.assertRaises(ValueError):
                parseInstant(text, 0)
