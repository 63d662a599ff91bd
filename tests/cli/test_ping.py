from __future__ import annotations

from pathlib import Path

import click

from echoproto.cli.ping import pingCommand
from echoproto.measure.api import DEFAULT_SIZE
from tests.cli.optionscase import OptionsTestCase


class PingOptionsTests(OptionsTestCase):
    command = pingCommand

    def test_size(self) -> None:
        """A probe has as many bytes as one of the API."""
        self.assertEqual(self.parsed("lab1", "lab2").size, DEFAULT_SIZE)

    def test_targets(self) -> None:
        """The targets of a file follow those of the command line."""
        path = Path(self.mktemp())
        path.write_text("lab2  # the second\n\nudp://lab3:7\n")
        options = self.parsed("--targets", str(path), "lab1")
        self.assertEqual(
            [target.text for target in options.allTargets],
            ["tcp://lab1:12345", "tcp://lab2:12345", "udp://lab3:7"],
        )

    def test_contradictions(self) -> None:
        """
        A preload needs one connection, a deadline has some time, and a ping has no rate to assert.
        """
        for words, message in (
            (("-w", "0"), "duration '0' would send nothing"),
            (("--preload", "3", "--reconnect"), "--preload cannot be used with --reconnect"),
            (
                ("--assert", "rate>1"),
                r"--assert 'rate>1': rate is not measured \(names: min, .*sent",
            ),
        ):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words)

    def test_unmeasured(self) -> None:
        """Assertions about directions need UDPEchoPlus."""
        self.assertIn("lost-up", self.parsed("lab1").unmeasured)
        found = self.parsed("--mode", "udp-plus", "--assert", "loss-up<1%", "udp://lab1")
        self.assertEqual(found.unmeasured, ("rate",))

    def test_flood(self) -> None:
        """A flood is one by its option, or by an interval that is too short for others."""
        for words, option in (
            ((), ""),
            (("-i", "2ms"), ""),
            (("-i", "1999us"), "--interval below 2ms"),
            (("--flood",), "--flood"),
        ):
            self.assertEqual(self.parsed(*words, "lab1").floodOption, option)

    def test_timeout(self) -> None:
        """No reply can arrive in no time."""
        self.assertRaises(click.BadParameter, self.parsed, "-W", "0", "lab1")

    def test_quiet(self) -> None:
        """Text has no line for each probe with --quiet, --flood or --summary."""
        for words, isQuiet in (((), False), (("-q",), True), (("--flood",), True)):
            self.assertEqual(self.parsed(*words, "lab1").isQuiet, isQuiet)
        self.assertTrue(self.parsed("--summary", "lab1").isQuiet)

    def test_stamp(self) -> None:
        """With -D a line begins with the time."""
        self.assertRegex(self.parsed("-D", "lab1").stamp, r"^\[\d+\.\d{6}\] $")
        self.assertEqual(self.parsed("lab1").stamp, "")
