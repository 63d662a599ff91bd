"""The measuring commands against other echo servers."""

from __future__ import annotations

import json
import subprocess
from threading import Event
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.servers import OTHERS, Missing, Running, running
from tests.loopback.command import COMMAND
from tests.loopback.program import PATIENCE, environment


class OtherServersTests(SynchronousTestCase):
    def measured(self, server: Running, command: str, *words: str) -> dict[str, Any]:
        """Return the document of a successful run, repeated while the server is starting."""
        for _ in range(50):
            ended = subprocess.run(
                [*server.network, *COMMAND, command, "-o", "json", *words],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            if ended.returncode == 0:
                break
            Event().wait(0.1)
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)
        return dict(json.loads(ended.stdout))

    def check(self, name: str) -> None:
        """Probe a server on both carriers, load it, and verify it if it loses no data."""
        [server] = [server for server in OTHERS if server.name == name]
        try:
            with running(server) as started:
                self.measure(started, server.losesData)
        except Missing as missing:
            raise SkipTest(str(missing)) from None

    def measure(self, server: Running, losesData: bool) -> None:
        target = f"{server.client}:{server.port}"
        for carrier in ("tcp", "udp"):
            probed = f"{carrier}://{target}"
            found = self.measured(server, "ping", "-c", "20", "-i", "50ms", probed)
            received = found["targets"][0]["received"]
            # xinetd and ncat lose datagrams that arrive close together, as on a busy machine.
            self.assertIn(received, [20] if carrier == "tcp" else range(1, 21))
        if not losesData:
            found = self.measured(server, "verify", "--bytes", "5MB", target)
            self.assertEqual(found["received_bytes"], 5_000_000)
        self.assertEqual(self.measured(server, "load", "-c", "200", target)["received"], 200)

    def test_socat(self) -> None:
        """socat with cat is probed on both carriers, verified and loaded."""
        self.check("socat")

    def test_xinetd(self) -> None:
        """The echo service of xinetd is probed, verified and loaded."""
        self.check("xinetd")

    def test_inetd(self) -> None:
        """The echo service of inetd is probed, verified and loaded."""
        self.check("inetd")

    def test_ncat(self) -> None:
        """ncat with cat is probed and loaded."""
        self.check("ncat")

    def test_stock(self) -> None:
        """Twisted's echo examples are probed and loaded."""
        self.check("stock Twisted")
