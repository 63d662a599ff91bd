from __future__ import annotations

import os
import signal
import subprocess
import sys
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli import healthcheck, main
from echoproto.cli.entry import start


class StartTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

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

    def signalled(self, number: int, *words: str) -> tuple[object, bytes]:
        """The exit status of a command that this signal reaches while it loads, and its errors."""

        def load() -> None:
            signal.raise_signal(number)
            raise SystemExit("goes on")

        self.patch(sys, "argv", ["echoproto", *words])
        with mock.patch.object(main, "main", load), mock.patch.object(os, "write") as write:
            status = self.assertRaises(SystemExit, start).code
        for call in write.mock_calls:
            self.assertEqual(call.args[0], 2)
        return status, b"".join(call.args[1] for call in write.mock_calls)

    def test_interrupted(self) -> None:
        """While a client loads, Ctrl-C, SIGTERM and SIGHUP end it with one line."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for command in ("ping", "load", "verify", "conformance", "greet", "report"):
                ended = self.signalled(number, command, "lab1")
                self.assertEqual(ended, (130, b"echoproto: interrupted\n"))

    def test_figures(self) -> None:
        """While a measurement loads, SIGQUIT shows that there are no figures yet."""
        for command in ("ping", "load", "verify", "conformance", "greet", "monitor"):
            ended = self.signalled(signal.SIGQUIT, command)
            self.assertEqual(ended, ("goes on", b"echoproto: nothing was measured yet\n"))

    def test_ignored(self) -> None:
        """SIGHUP is ignored by a monitor that loads, and by a command that nohup has started."""
        self.assertEqual(self.signalled(signal.SIGHUP, "monitor"), ("goes on", b""))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.assertEqual(self.signalled(signal.SIGHUP, "ping"), ("goes on", b""))

    def test_monitor(self) -> None:
        """A monitor that is stopped while it loads has status 0, as later."""
        for number in (signal.SIGINT, signal.SIGTERM):
            ended = self.signalled(number, "monitor")
            self.assertEqual(ended, (0, b"echoproto: interrupted\n"))

    def test_servers(self) -> None:
        """The signals of a server are its own."""
        before = signal.getsignal(signal.SIGTERM)
        self.started("serve")
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)

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
