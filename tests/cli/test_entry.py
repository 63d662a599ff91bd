from __future__ import annotations

import os
import signal
import subprocess
import sys
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import healthcheck, main
from echoproto.cli.entry import start

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class StartTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in SIGNALS:
            self.addCleanup(signal.signal, number, signal.getsignal(number))

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
        """A command that is interrupted has one line and status 130; a monitor was stopped."""
        for command, status in (("ping", 130), ("report", 130), ("serve", 130), ("monitor", 0)):
            self.patch(sys, "argv", ["echoproto", command])
            with (
                mock.patch.object(main, "main", side_effect=KeyboardInterrupt),
                mock.patch.object(os, "write") as write,
                mock.patch.object(os, "_exit") as ended,
            ):
                start()
            ended.assert_called_once_with(status)
            write.assert_called_once_with(2, b"echoproto: interrupted\n")

    def test_ended(self) -> None:
        """Once a command of the client has ended, signals do not change its exit status."""
        self.assertEqual(self.started("ping"), "click")
        for number in SIGNALS:
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)

    def test_servers(self) -> None:
        """The signals of a server are its own."""
        before = signal.getsignal(signal.SIGTERM)
        self.started("serve")
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)

    def test_container(self) -> None:
        """As process 1 it ends by SIGTERM from its first instruction on, with status 143."""
        with mock.patch.object(os, "getpid", return_value=1):
            self.started("serve")
        with mock.patch.object(os, "_exit") as ended:
            signal.raise_signal(signal.SIGTERM)
        ended.assert_called_once_with(143)

    def test_others(self) -> None:
        """All other commands are click's."""
        self.assertEqual(self.started("greet"), "click")
        self.assertEqual(self.started(), "click")

    def test_noHTTP(self) -> None:
        """A command imports nothing of HTTP, although Twisted does for others."""
        program = (
            "import sys; sys.argv = ['echoproto', 'serve', '--help']\n"
            "from echoproto.cli.entry import start\n"
            "try: start()\n"
            "except SystemExit: print('twisted' in sys.modules, 'http.client' in sys.modules)"
        )
        output = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=300)
        self.assertEqual(output.splitlines()[-1], "True False")

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
