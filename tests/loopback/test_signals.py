"""The table of signals in ``docs/operation.md``, with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import PATIENCE, TWISTD, connected, environment

SERVE = [sys.executable, "-m", "echoproto", "serve"]

#: The forms of the server, and the status with which SIGTERM ends each.
FORMS = (
    (SERVE, 0),
    ([*SERVE, "--workers", "2"], 0),
    ([*TWISTD, "-n", "--pidfile=", "echoproto"], -signal.SIGTERM),
)

HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class SignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "echo")

    def start(self, command: list[str]) -> subprocess.Popen[str]:
        """A server in a process group of its own, from a parent with signals blocked."""
        blocked = {*HARMLESS, signal.SIGTERM, signal.SIGCHLD}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
        try:
            server = subprocess.Popen(
                [*command, "--port", f"unix:{self.path}"],
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        return server

    def awaitListening(self, server: subprocess.Popen[str]) -> None:
        assert server.stdout is not None
        for line in server.stdout:
            if "is listening" in line:
                return
        self.fail("it did not start")

    def echo(self, client: socket.socket) -> None:
        client.sendall(b"x")
        self.assertEqual(client.recv(1), b"x")

    def test_allPhases(self) -> None:
        """
        A signal to all processes of the server does no harm while workers start, while it serves
        and while it drains; SIGTERM drains it in order and leaves no file.
        """
        for command, status in FORMS:
            server = self.start(command)
            self.awaitListening(server)
            for number in HARMLESS:
                os.killpg(server.pid, number)
            with connected(str(self.path)) as client:
                self.echo(client)
                for number in HARMLESS:
                    os.killpg(server.pid, number)
                self.echo(client)
                os.killpg(server.pid, signal.SIGTERM)
                for number in HARMLESS:
                    os.killpg(server.pid, number)
            output, _ = server.communicate(timeout=PATIENCE)
            self.assertEqual(server.returncode, status, output)
            self.assertNotIn("Traceback", output)
            self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_stopWhileWorkersStart(self) -> None:
        """SIGTERM to all processes while the workers start is a clean stop."""
        server = self.start([*SERVE, "--workers", "2"])
        self.awaitListening(server)
        os.killpg(server.pid, signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE)
        self.assertEqual((server.returncode, "Traceback" in output), (0, False), output)
        self.assertEqual(list(self.path.parent.iterdir()), [])
