from __future__ import annotations

import click

from echoproto.cli.load import loadCommand
from echoproto.cli.sessions import load
from echoproto.measure.load.plan import LoadPlan
from echoproto.units import SECOND
from tests.cli.optionscase import OptionsTestCase


class LoadOptionsTests(OptionsTestCase):
    command = loadCommand

    def test_sendTime(self) -> None:
        """A load ends after a time or a number of messages; by default after the API's time."""
        for words, time in (
            ((), LoadPlan().duration),
            (("-z", "2s"), 2 * SECOND),
            (("-c", "5"), None),
            (("-c", "5", "-z", "2s"), 2 * SECOND),
        ):
            self.assertEqual(self.parsed(load, "LoadSession", *words).sendTime, time)

    def test_contradictions(self) -> None:
        """Options that contradict each other are an error."""
        for words, message in (
            (("--arrivals", "fixed"), "--arrivals needs --rate"),
            (("--rate", "5", "--window", "2"), "--window cannot be used with --rate"),
            (("-z", "1s", "--warmup", "1s"), "--warmup must be shorter than --duration"),
            (("--assert", "jitter<1ms"), "jitter is not measured"),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(load, "LoadSession", *words)
