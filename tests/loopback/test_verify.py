"""``echoproto verify`` as a program, against servers on real sockets."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import serverPEM
from tests.loopback.command import runCommand, startCommand
from tests.loopback.program import PATIENCE, Program

SIZE = 20_000_000


class VerifyTests(SynchronousTestCase):
    def verified(self, *words: str) -> dict[str, Any]:
        ended = runCommand("verify", "--bytes", str(SIZE), "-o", "json", *words)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return dict(json.loads(ended.stdout))

    def test_carriers(self) -> None:
        """Every byte is echoed over TCP, TLS and a UNIX socket."""
        # Short, because paths of UNIX sockets are limited to 107 bytes (unix(7)).
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        folder = Path(temporary.name)
        pem = folder / "server.pem"
        pem.write_bytes(serverPEM())
        with Program("-p", "0", "-p", f"unix:{folder}/echo", listeners=5) as program:
            for target in (f"127.0.0.1:{program.port()}", f"unix://{folder}/echo"):
                self.assertEqual(self.verified(target)["received_bytes"], SIZE)
        secure = ("--tls-cert", str(pem), "--tls-key", str(pem))
        with Program("-p", "tcp:0:interface=127.0.0.1", *secure, listeners=1) as program:
            _, port = program.address("echo", "tls")
            found = self.verified("--ca", str(pem), "-4", f"tls://localhost:{port}")
            self.assertEqual(found["received_bytes"], SIZE)

    def test_interrupted(self) -> None:
        """Ctrl-C waits for outstanding bytes, and ends with the summary."""
        with (
            Program("-p", "0") as program,
            startCommand("verify", "-z", "20s", f"127.0.0.1:{program.port()}") as running,
        ):
            assert running.stdout is not None
            self.assertIn("VERIFY tcp://127.0.0.1", running.stdout.readline())
            running.send_signal(signal.SIGINT)
            output, errors = running.communicate(timeout=PATIENCE)
        # It may not be connected yet.
        endings = {0: "all bytes were echoed correctly", 130: "no data received"}
        self.assertEqual(errors, "")
        self.assertIn(endings[running.returncode], output)
