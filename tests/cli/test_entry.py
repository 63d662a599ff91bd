from __future__ import annotations

import subprocess
import sys
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import healthcheck, main
from echoproto.cli.entry import start


class StartTests(SynchronousTestCase):
    def started(self, *words: str) -> object:
        """The exit status of the command."""
        self.patch(sys, "argv", ["echoproto", *words])
        with mock.patch.object(main, "main", side_effect=SystemExit("click")):
            return self.assertRaises(SystemExit, start).code

    def test_health(self) -> None:
        """A health check is run here; its help and its mistakes are click's."""
        with mock.patch.object(healthcheck, "checkHealth", return_value=1) as check:
            self.assertEqual(self.started("health", "--ready", "9100"), 1)
        check.assert_called_once_with("9100", True)
        self.assertEqual(self.started("health", "--help"), "click")

    def test_interrupted(self) -> None:
        """Ctrl-C while modules are imported ends without a traceback."""
        with mock.patch.object(healthcheck, "checkHealth", side_effect=KeyboardInterrupt):
            self.assertEqual(self.started("health"), 130)

    def test_others(self) -> None:
        """All other commands are click's."""
        self.assertEqual(self.started("greet"), "click")
        self.assertEqual(self.started(), "click")

    def test_imports(self) -> None:
        """A health check imports neither Twisted nor click."""
        program = (
            "import sys; sys.argv = ['echoproto', 'health', '1']\n"
            "from echoproto.cli.entry import start\n"
            "try: start()\n"
            "except SystemExit as ended: assert ended.code == 1\n"
            "print(sorted({name.partition('.')[0] for name in sys.modules}))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        self.assertIn("echoproto", ran.stdout)
        for name in ("twisted", "click", "typing", "re", "http", "urllib", "argparse", "logging"):
            self.assertNotIn(f"'{name}'", ran.stdout)
