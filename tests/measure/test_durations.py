from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.durations import milliseconds, parseDuration, seconds


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
