"""Other programs with the echoproto server, and the echoproto client with another server."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from threading import Thread
from unittest import SkipTest

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase, TestCase

from echoproto import connectEcho, greet
from echoproto.errors import ConnectionClosed
from echoproto.protocols.greeting import CLIENT_GREETING
from tests.loopback.program import PATIENCE, Program


def output(*command: str, input: bytes) -> bytes:
    """Run a program with ``input`` and return its output; skip if it is not installed."""
    if shutil.which(command[0]) is None:
        raise SkipTest(f"{command[0]} is not installed")
    finished = subprocess.run(
        command, input=input, stdout=subprocess.PIPE, timeout=PATIENCE, check=True
    )
    return finished.stdout


class ProgramsTests(SynchronousTestCase):
    def test_nc(self) -> None:
        """nc with a half-close after its input (-N) gets all of it back, and nc -u its datagram."""
        with Program("-p", "0") as program:
            host, port = program.address("echo", "tcp")
            data = b"from nc\n" * 10_000
            self.assertEqual(output("nc", "-N", host, str(port), input=data), data)
            echoed = output("nc", "-u", "-w1", host, str(port), input=b"datagram")
            self.assertEqual(echoed, b"datagram")

    def test_socat(self) -> None:
        """socat gets all of its input back, over IPv4, IPv6 and UDP."""
        with Program("-p", "0") as program:
            _, port = program.address("echo", "tcp")
            data = b"from socat\n" * 10_000
            for address in (f"TCP4:127.0.0.1:{port}", f"TCP6:[::1]:{port}"):
                self.assertEqual(output("socat", "-t5", "-", address, input=data), data)
            echoed = output("socat", "-t1", "-", f"UDP4:127.0.0.1:{port}", input=b"datagram")
            self.assertEqual(echoed, b"datagram")

    def test_ncat(self) -> None:
        """ncat gets all of its input back, and its datagram."""
        with Program("-p", "0") as program:
            host, port = program.address("echo", "tcp")
            data = b"from ncat\n" * 10_000
            self.assertEqual(output("ncat", host, str(port), input=data), data)
            # Its input stays open: at the end of input it would not wait for the reply.
            with subprocess.Popen(
                ["ncat", "-u", "-i10", host, str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            ) as process:
                assert process.stdin is not None and process.stdout is not None
                process.stdin.write(b"datagram")
                self.assertEqual(process.stdout.read(8), b"datagram")
                process.kill()


class TutorialServer(Thread):
    """
    A server as in a beginner's tutorial: bind, listen(1), accept, recv(1024), sendall, close.

    :ivar received: the received data.
    """

    def __init__(self) -> None:
        super().__init__()
        self.received = b""
        self._listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listening.settimeout(PATIENCE)
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen(1)
        self.port: int = self._listening.getsockname()[1]

    def run(self) -> None:
        connection, _ = self._listening.accept()
        self.received = connection.recv(1024)
        connection.sendall(b"Hello, client! This is the server.")
        connection.close()
        self._listening.close()


class ClientTests(TestCase):
    timeout = PATIENCE

    def start(self) -> tuple[TutorialServer, TCP4ClientEndpoint]:
        from twisted.internet import reactor

        server = TutorialServer()
        server.start()
        self.addCleanup(server.join)
        self.reactor = reactor
        return server, TCP4ClientEndpoint(reactor, "127.0.0.1", server.port)

    async def test_greet(self) -> None:
        """The client exchanges the greeting with the tutorial's server."""
        server, endpoint = self.start()
        self.assertEqual(await greet(endpoint, self.reactor), b"Hello, client! This is the server.")
        self.assertEqual(server.received, CLIENT_GREETING)

    async def test_noEcho(self) -> None:
        """A server that sends other bytes than it received is reported as a mismatch."""
        _, endpoint = self.start()
        client = await connectEcho(endpoint, self.reactor)
        reply: Deferred[bytes] = client.echo(b"Hello, client! Who are you, there?")
        with self.assertRaises(Exception) as raised:
            await reply
        self.assertIn("wrong byte at offset 15", str(raised.exception))
        # The server closes after its reply, perhaps before the client.
        with contextlib.suppress(ConnectionClosed):
            await client.close()
