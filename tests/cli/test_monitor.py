from __future__ import annotations

from typing import Any

import click

from echoproto.cli.monitor import MonitorOptions, monitorCommand
from echoproto.cli.sessions import monitor
from tests.cli.optionscase import OptionsTestCase


class MonitorOptionsTests(OptionsTestCase):
    command = monitorCommand

    def called(self, *words: str) -> tuple[str, Any]:
        """The function that the command calls, and its options."""
        found: list[tuple[str, Any]] = []
        for name in ("checkFile", "runMonitor"):

            def record(options: MonitorOptions, name: str = name) -> int:
                found.append((name, options))
                return 5

            self.patch(monitor, name, record)
        self.assertEqual(monitorCommand.main(list(words), standalone_mode=False), 5)
        return found[0]

    def test_modes(self) -> None:
        """The file is checked, or its targets are probed."""
        name, options = self.called("targets.toml")
        self.assertEqual(
            (name, options.file, options.status), ("runMonitor", "targets.toml", "9110")
        )
        self.assertEqual(self.called("--check", "targets.toml")[0], "checkFile")

    def test_file(self) -> None:
        """There is one file."""
        for words, message in (((), "missing FILE"), (("a", "b"), "give one FILE")):
            with self.assertRaisesRegex(click.UsageError, message):
                self.called(*words)[1].file  # noqa: B018
