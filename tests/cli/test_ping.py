from __future__ import annotations

from pathlib import Path

import click

from echoproto.cli.ping import pingCommand
from echoproto.cli.sessions import ping
from echoproto.measure.api import DEFAULT_SIZE
from tests.cli.optionscase import OptionsTestCase


class PingOptionsTests(OptionsTestCase):
    command = pingCommand

    def test_size(self) -> None:
        """A probe has as many bytes as one of the API."""
        self.assertEqual(self.parsed(ping, "PingSession", "lab1", "lab2").size, DEFAULT_SIZE)

    def test_targets(self) -> None:
        """The targets of a file follow those of the command line."""
        path = Path(self.mktemp())
        path.write_text("lab2  # the second\n\nudp://lab3:7\n")
        options = self.parsed(ping, "PingSession", "--targets", str(path), "lab1")
        self.assertEqual(
            [target.text for target in options.allTargets],
            ["tcp://lab1:12345", "tcp://lab2:12345", "udp://lab3:7"],
        )

    def test_contradictions(self) -> None:
        """A preload needs one connection, and a ping has no rate to assert."""
        for words, message in (
            (("--preload", "3", "--reconnect"), "--preload cannot be used with --reconnect"),
            (
                ("--assert", "rate>1"),
                r"--assert 'rate>1': rate is not measured \(names: min, .*sent",
            ),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(ping, "PingSession", *words)
