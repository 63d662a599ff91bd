from __future__ import annotations

import click

from echoproto.cli.monitor import monitorCommand
from tests.cli.optionscase import OptionsTestCase


class MonitorOptionsTests(OptionsTestCase):
    command = monitorCommand

    def test_defaults(self) -> None:
        """It probes the targets of a file, and has a status listener."""
        options = self.parsed("targets.toml")
        self.assertEqual(
            (options.file, options.check, options.status), ("targets.toml", False, "9110")
        )
        self.assertTrue(self.parsed("--check", "targets.toml").check)

    def test_file(self) -> None:
        """There is one file."""
        for words, message in (((), "missing FILE"), (("a", "b"), "give one FILE")):
            with self.assertRaisesRegex(click.UsageError, message):
                self.parsed(*words).file  # noqa: B018
