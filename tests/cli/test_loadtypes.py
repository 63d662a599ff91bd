from __future__ import annotations

import time

import click
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.loadtypes import RATES, SHARE, START_TIME, STEP, RateRange


class LoadTypesTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Rates may be a range; shares are numbered from 0; times are absolute or a delay."""
        for kind, text, value in (
            (RATES, "5k", 5000.0),
            (RATES, "1..5k", RateRange("1..5k", 1.0, 5000.0)),
            (SHARE, "2/3", (2, 3)),
            (START_TIME, "@1", 10**9),
            (STEP, "2s", 2 * 10**9),
        ):
            self.assertEqual(kind.convert(text, None, None), value)
        self.assertGreater(START_TIME.convert("+1h", None, None), time.time_ns())

    def test_invalid(self) -> None:
        """What does not fit is refused with an example."""
        for kind, text, message in (
            (RATES, "5..1", "such as 1k..50k"),
            (RATES, "0..1", "invalid rate '0'"),
            (SHARE, "3/3", "such as 0/3"),
            (SHARE, "auto", "such as 0/3"),
            (START_TIME, "noon", "invalid time 'noon'"),
            (STEP, "1500ms", "such as 10s"),
            (STEP, "1ms", "such as 10s"),
        ):
            with self.assertRaisesRegex(click.BadParameter, message):
                kind.convert(text, None, None)
