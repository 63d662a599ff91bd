from __future__ import annotations

import time

import click

from echoproto.cli.load import loadCommand
from echoproto.measure.load.plan import LoadPlan
from echoproto.text.units import SECOND
from tests.cli.optionscase import OptionsTestCase


class LoadOptionsTests(OptionsTestCase):
    command = loadCommand

    def test_sendTime(self) -> None:
        """A load ends after a time or a number of messages; by default after the API's time."""
        for words, expected in (
            ((), LoadPlan().duration),
            (("-z", "2s"), 2 * SECOND),
            (("-c", "5"), None),
            (("-c", "5", "-z", "2s"), 2 * SECOND),
        ):
            self.assertEqual(self.parsed(*words).sendTime, expected)

    def test_share(self) -> None:
        """A share is numbered from 0; it must have a connection and a message."""
        self.assertEqual(self.parsed("--share", "2/3").share, (2, 3))
        for words, message in (
            (("--share", "3/3"), "invalid share '3/3'"),
            (("--share", "auto"), "invalid share 'auto'"),
            (("--share", "0/11"), "fewer connections or messages than 11"),
            (("--share", "0/5", "-c", "4"), "fewer connections or messages than 5"),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words)

    def test_startAt(self) -> None:
        """A load may begin late, unless its end is past."""
        self.assertEqual(self.parsed("--start-at", "@1", "-c", "5").start_at, SECOND)
        with self.assertRaisesRegex(click.UsageError, r"that load has ended \d+ days ago"):
            self.parsed("--start-at", "@1")
        with self.assertRaisesRegex(click.UsageError, "invalid time 'noon'"):
            self.parsed("--start-at", "noon")
        later = self.parsed("--start-at", "+1h").start_at
        self.assertGreater(later, time.time_ns())

    def test_ramp(self) -> None:
        """Rising rates have ten steps of ten seconds by default."""
        options = self.parsed("--rate", "1k..50k")
        self.assertEqual((options.steps, options.sendTime), (10, 100 * SECOND))
        options = self.parsed("--rate", "1..5", "--step", "2s", "-z", "6s")
        self.assertEqual((options.steps, options.stepTime), (3, 2 * SECOND))
        for words, message in (
            (("--rate", "5..1"), "invalid range of rates '5..1'"),
            (("--rate", "1..5", "--step", "1500ms"), "invalid step"),
            (("--rate", "5", "--step", "1s"), "--step needs a range of rates"),
            (("--rate", "1..5", "-c", "5"), "cannot be used with --count"),
            (("--rate", "1..5", "-z", "15s"), "--duration must be two or more times --step"),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words)

    def test_contradictions(self) -> None:
        """Options that contradict each other are an error."""
        for words, message in (
            (("--arrivals", "fixed"), "--arrivals needs --rate"),
            (("--reconnect", "--window", "2"), "--window cannot be used with --reconnect"),
            (("--rate", "5", "--window", "2"), "--window cannot be used with --rate"),
            (("-z", "1s", "--warmup", "1s"), "--warmup must be shorter than --duration"),
            (("--assert", "jitter<1ms"), "jitter is not measured"),
            (("--assert", "p98<1ms"), r"p98 is unknown \(names: min, .*, duplicates\)$"),
            (("--rate", "1..5", "--assert", "loss<1%"), r"loss is not measured .* p99.9\)$"),
            (("--histogram", "-o", "json"), "--histogram needs --output text"),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words)
