from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.monitor.values import PARSERS, InvalidSetting, parseURLs
from echoproto.text.units import SECOND


class ValueTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """A time is text or seconds, a list of bounds is in seconds or text."""
        for name, value, expected in (
            ("interval", "200ms", SECOND // 5),
            ("wait", 1.5, 3 * SECOND // 2),
            ("lookup", 60, 60 * SECOND),
            ("buckets", ["1ms", 0.5, 2], (0.001, 0.5, 2.0)),
            ("buckets", [0.00002], (0.00002,)),
            ("size", 0, 0),
            ("reconnect", True, True),
            ("family", 6, 6),
            ("source", "::1", "::1"),
            ("ca", __file__, __file__),
            ("labels", {"site": "lab"}, {"site": "lab"}),
        ):
            self.assertEqual(PARSERS[name](value), expected, name)

    def test_invalid(self) -> None:
        """An invalid value is one line with the valid form."""
        values: tuple[tuple[str, Any, str], ...] = (
            ("interval", "soon", "invalid duration 'soon'"),
            ("interval", True, "invalid duration True"),
            ("interval", float("inf"), "inf is out of range"),
            ("interval", -1, "-1 is out of range"),
            ("interval", float("nan"), "nan is out of range"),
            ("interval", 10**400, "is out of range (0.001 to 86400 s)"),
            ("interval", "10us", "out of range (0.001 to 86400 s)"),
            ("wait", 61, "out of range (0.001 to 60 s)"),
            ("size", 65_508, "a whole number from 0 to 65507"),
            ("size", True, "invalid size True"),
            ("reconnect", 1, "true or false"),
            ("family", 5, "4 or 6"),
            ("source", "lab1", "a numeric address"),
            ("source", 7, "invalid address 7"),
            ("ca", 7, "7 is not text; write it in quotes"),
            ("ca", "nowhere", "'nowhere': No such file or directory; give a PEM file"),
            ("ca", "/dev/zero", "'/dev/zero': not a regular file"),
            ("buckets", [10**400], "is out of range"),
            ("buckets", [], "at most 100"),
            ("buckets", ["2ms", "1ms"], "the bounds do not ascend"),
            ("labels", "site", "not a table"),
            ("labels", {"le": "x"}, "invalid name 'le'"),
            ("labels", {"__x": "x"}, "invalid name '__x'"),
            ("labels", {"a-b": "x"}, "letters, digits and _; not instance, job, le, target"),
            ("labels", {"site": 1}, "site: 1 is not text; write it in quotes"),
        )
        for name, value, message in values:
            with self.assertRaises(ValueError) as caught:
                PARSERS[name](value)
            self.assertIn(message, str(caught.exception))

    def test_urls(self) -> None:
        """There is one URL, or several."""
        self.assertEqual(parseURLs("lab1"), ["lab1"])
        self.assertEqual(parseURLs(["lab1", "lab2"]), ["lab1", "lab2"])
        for value in (None, [], ["lab1", 2]):
            with self.assertRaises(InvalidSetting):
                parseURLs(value)
