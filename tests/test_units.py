from __future__ import annotations

from collections.abc import Callable
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.units import (
    milliseconds,
    parseCount,
    parseDeadline,
    parseDuration,
    parsePorts,
    parseRate,
    parseSeconds,
    seconds,
)


class DurationTests(SynchronousTestCase):
    def test_units(self) -> None:
        """A number and a unit; seconds where there is none."""
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
        ):
            self.assertEqual(parseDuration(text), time, text)

    def test_wrong(self) -> None:
        """Anything else is an error that shows how it is written."""
        for text in (
            "",
            "ms",
            "-1s",
            "1 s",
            "1d",
            "nan",
            "9" * 400,
            "9" * 305,
            "9999999999h",
            "1e3",
        ):
            with self.assertRaisesRegex(ValueError, "20ms, 1.5s"):
                parseDuration(text)

    def test_shown(self) -> None:
        """Times are shown in milliseconds, limits in seconds."""
        self.assertEqual(milliseconds(311_400), "0.311")
        self.assertEqual(seconds(2_000_000_000), "2 s")
        self.assertEqual(seconds(500_000_000), "0.5 s")


PARSERS: list[Callable[[str], object]] = [
    parseSeconds,
    parseDeadline,
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
        """A time is a number of seconds, or has a unit."""
        written = {"30": 30, "1.5s": 1.5, "200ms": 0.2, "10m": 600, "2h": 7200, ".5": 0.5, "0": 0}
        self.assertEqual({text: parseSeconds(text) for text in written}, written)
        self.wrong(parseSeconds, "", "-1", "1d", "inf", "nan", "1e3", "s", "٣")

    def test_deadline(self) -> None:
        """A deadline of 0 is never."""
        self.assertEqual((parseDeadline("0"), parseDeadline("0ms")), (inf, inf))
        self.assertEqual(parseDeadline("1m"), 60)

    def test_rate(self) -> None:
        """A rate is a number, with or without ``/s``."""
        self.assertEqual([parseRate(text) for text in ("0", "2.5", "100/s")], [0, 2.5, 100])
        self.wrong(parseRate, "", "-1", "fast", "inf", "nan", "1/m")

    def test_count(self) -> None:
        """A count is a whole number."""
        self.assertEqual([parseCount(text) for text in ("0", "42")], [0, 42])
        self.wrong(parseCount, "", "-1", "1.5", "1e3", "9" * 5000)

    def test_ports(self) -> None:
        """Ports have commas between them; none is none."""
        self.assertEqual(parsePorts("7,19,0"), {0, 7, 19})
        self.assertEqual(parsePorts("none"), frozenset())
        self.wrong(parsePorts, "", "7,", "7 19", "65536", "-1", "all")

    @given(st.sampled_from(PARSERS), st.text())
    def test_anything(self, parse: Callable[[str], object], text: str) -> None:
        """Whatever is written is a value or a ValueError of one line that can be printed."""
        try:
            parse(text)
        except ValueError as error:
            self.assertEqual(len(str(error).splitlines()), 1)
