from __future__ import annotations

from typing import Any

import click
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import options as parameters
from echoproto.cli.options import CONTEXT, Grouped, option


class ReadTests(SynchronousTestCase):
    def test_values(self) -> None:
        """Each kind reads its values, and takes what has been read."""
        for kind, text, value in (
            (parameters.DURATION, "20ms", 20_000_000),
            (parameters.INTERVAL, "1us", 1000),
            (parameters.COUNT, "1", 1),
            (parameters.PROBE_SIZE, "0", 0),
            (parameters.SIZE, "1000", 1000),
            (parameters.SIZE, "64MiB", 64 << 20),
            (parameters.SIZE, "1.5 gb", 1_500_000_000),
            (parameters.SIZE, "2k", 2000),
            (parameters.SIZE, "2KI", 2048),
            (parameters.RATE, "0.5", 0.5),
            (parameters.SIZES, "64", (64, 64)),
            (parameters.SIZES, "1-4KiB", (1, 4096)),
            (parameters.PATTERN, "ff00", b"\xff\x00"),
            (parameters.ADDRESS, "::1", "::1"),
        ):
            self.assertEqual(kind.convert(text, None, None), value)
            if not isinstance(value, str):
                self.assertEqual(kind.convert(value, None, None), value)

    def test_wrong(self) -> None:
        """What is no such value is an error that says how it is written."""
        for kind, text, says in (
            (parameters.DURATION, "fast", "no length of time"),
            (parameters.INTERVAL, "0", "too short"),
            (parameters.COUNT, "0", "no whole number from 1 to"),
            (parameters.PROBE_SIZE, "-1", "no whole number from 0 to"),
            (parameters.PROBE_SIZE, "16777217", "no whole number from 0 to 16777216"),
            (parameters.SEED, "x", "no whole number"),
            (parameters.SIZE, "0", "no number of bytes"),
            (parameters.SIZE, "many", "no number of bytes"),
            (parameters.RATE, "0", "no rate"),
            (parameters.RATE, "fast", "no rate"),
            (parameters.SIZE, "0.1", "no number of bytes"),
            (parameters.SIZE, "9" * 400, "no number of bytes"),
            (parameters.SIZES, "0", "no size from 1"),
            (parameters.SIZES, "5-1", "no size from 1"),
            (parameters.SIZES, "2MiB", "no size from 1"),
            (parameters.PATTERN, "f", "no pattern in hexadecimal"),
            (parameters.ADDRESS, "lab1", "no numeric address"),
            (parameters.TARGET, "lab1:x", "no port"),
            (parameters.ASSERTION, "p99", "no assertion"),
        ):
            with self.assertRaisesRegex(click.BadParameter, says):
                kind.convert(text, None, None)


class HelpTests(SynchronousTestCase):
    def test_groups(self) -> None:
        """Options stand under their titles, in the order in which they are given."""

        @click.command("x", Grouped, context_settings=CONTEXT)
        @option("First", "-a", is_flag=True, help="A.")
        @option("Second", "-b", is_flag=True, help="B.")
        @option("First", "-c", is_flag=True, help="C.")
        @option("Second", "-d", is_flag=True, hidden=True)
        def command(**given: Any) -> None:
            """Does nothing."""

        said = CliRunner().invoke(command, ["--help"]).output
        self.assertIn("First:\n  -a  A.\n  -c  C.\n\nSecond:\n  -b  B.\n", said)
