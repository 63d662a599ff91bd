from __future__ import annotations

import click

from echoproto.cli.monitor import monitorCommand
from echoproto.errors import StartupError
from echoproto.server.config.status import statusListener
from tests.cli.optionscase import OptionsTestCase


class MonitorOptionsTests(OptionsTestCase):
    command = monitorCommand

    def test_defaults(self) -> None:
        """It probes the targets of a file, and has a status listener."""
        options = self.parsed("targets.toml")
        self.assertEqual((options.file, options.check), ("targets.toml", False))
        self.assertEqual(options.status, statusListener("9110"))
        self.assertTrue(self.parsed("--check", "targets.toml").check)

    def test_file(self) -> None:
        """There is one file."""
        for words, message in (((), "missing FILE"), (("a", "b"), "give one FILE")):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words).file  # noqa: B018

    def test_proxy(self) -> None:
        """The status listener reads no PROXY header."""
        with self.assertRaisesRegex(StartupError, "^--status: proxy= is for servers"):
            self.parsed("--status", "tcp:9110:proxy=any", "targets.toml")
