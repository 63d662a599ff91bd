"""Our measuring client against other people's echo servers."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import PATIENCE, environment

_XINETD = """service echo
{{
 type = INTERNAL UNLISTED
 id = echo-{kind}
 socket_type = {kind}
 protocol = {protocol}
 port = {port}
 wait = {wait}
 user = root
 bind = 127.0.0.1
}}
"""


def freePort() -> int:
    """One that is free on TCP and on UDP."""
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as stream:
            port: int = stream.getsockname()[1]
            with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
                try:
                    datagrams.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise AssertionError("no port is free")


@contextmanager
def running(*command: str) -> Iterator[None]:
    """A server; skips where it is not installed."""
    if shutil.which(command[0]) is None:
        raise SkipTest(f"{command[0]} is not installed")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


class TheirsTests(SynchronousTestCase):
    def measured(self, command: str, *words: str) -> dict[str, Any]:
        """What is measured, where all went well; a server that is only starting is asked again."""
        for _ in range(50):
            ended = subprocess.run(
                [sys.executable, "-m", "echoproto", command, "-o", "json", *words],
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

    def check(self, port: int, carriers: tuple[str, ...]) -> None:
        for carrier in carriers:
            found = self.measured("ping", "-c", "20", "-i", "2ms", f"{carrier}://127.0.0.1:{port}")
            self.assertEqual(found["targets"][0]["received"], 20)
        if "tcp" in carriers:
            target = f"127.0.0.1:{port}"
            found = self.measured("verify", "--bytes", "5MB", target)
            self.assertEqual(found["received_bytes"], 5_000_000)
            self.assertEqual(self.measured("load", "-n", "200", target)["received"], 200)

    def test_socat(self) -> None:
        """socat with cat behind it is probed on both carriers, verified and loaded."""
        port = freePort()
        place = f"{port},fork,reuseaddr,bind=127.0.0.1"
        with (
            running("socat", f"TCP-LISTEN:{place}", "EXEC:cat"),
            running("socat", f"UDP-RECVFROM:{place}", "EXEC:cat"),
        ):
            self.check(port, ("tcp", "udp"))

    def test_xinetd(self) -> None:
        """So is xinetd's own echo service."""
        if os.geteuid():
            raise SkipTest("xinetd needs root")
        port = freePort()
        config = Path(self.mktemp()).resolve()
        config.write_text(
            _XINETD.format(kind="stream", protocol="tcp", port=port, wait="no")
            + _XINETD.format(kind="dgram", protocol="udp", port=port, wait="yes")
        )
        with running("xinetd", "-dontfork", "-f", str(config)):
            self.check(port, ("tcp", "udp"))
