from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import health
from echoproto.cli.main import run


class HealthCommandTests(SynchronousTestCase):
    def test_run(self) -> None:
        """The command runs the check with its options."""
        with mock.patch.object(health, "checkHealth", return_value=1) as check:
            self.assertEqual(run(["health"]), 1)
            self.assertEqual(run(["health", "--ready", "9101"]), 1)
        self.assertEqual(
            [call[0] for call in check.call_args_list],
            [("http://127.0.0.1:9100", False), ("9101", True)],
        )

    def test_mistake(self) -> None:
        """An invalid URL is one line."""
        with redirect_stderr(StringIO()) as errors, redirect_stdout(StringIO()):
            self.assertEqual(run(["health", "lab"]), 2)
        self.assertTrue(errors.getvalue().startswith("echoproto health: invalid URL 'lab' (exam"))
