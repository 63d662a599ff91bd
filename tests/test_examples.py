"""
The programs in ``examples/`` run on a reactor in memory, or as processes.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import unittest
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.request import urlopen

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.certificates import serverPEM
from tests.loopback.program import PATIENCE, ROOT, Program, environment

EXAMPLES = ROOT / "examples"


class ExampleTestCase(SynchronousTestCase):
    """Runs ``main`` of an example on a reactor in memory."""

    def start(self, name: str) -> Any:
        """Start the example and return the factory of its only listener."""
        return self.startAll(name, "tcp:8007")[8007]

    def startAll(self, name: str, argument: str) -> dict[int, Any]:
        """Start the example and return the factories of its listeners by port."""
        self.reactor = MemoryReactorClock()
        main = runpy.run_path(str(EXAMPLES / name))["main"]
        running: Deferred[None] = ensureDeferred(main(self.reactor, argument))
        self.assertNoResult(running)
        self.addCleanup(self.failureResultOf, running)
        self.addCleanup(running.cancel)
        return {port: factory for port, factory, *_ in self.reactor.tcpServers}

    def exchange(self, factory: Any, data: bytes) -> bytes:
        """Send ``data`` and a FIN; return the reply."""
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        client.link.write(data)
        client.link.loseWriteConnection()
        pair.pump()
        self.assertIsNotNone(pair.server.closed)
        return client.received


class ServerTests(ExampleTestCase):
    def test_reply(self) -> None:
        """The reply is the data, complete even after the client's FIN."""
        factory = self.start("server.py")
        self.assertEqual(self.exchange(factory, b"hello" * 50_000), b"hello" * 50_000)
        self.assertEqual(self.reactor.triggers["before"]["shutdown"], [(factory.drain, (), {})])


class BesideTests(ExampleTestCase):
    def test_replies(self) -> None:
        """Echo and the other protocol are on neighbouring ports, and share their limit."""
        factories = self.startAll("beside.py", "8007")
        self.assertEqual(self.exchange(factories[8007], b"ab\nc\n"), b"ab\nc\n")
        self.assertEqual(self.exchange(factories[8008], b"ab\nc\n\n"), b"2\n1\n0\n")
        self.assertIs(factories[8007].admission, factories[8008].admission)
        [(drain, _, _)] = self.reactor.triggers["before"]["shutdown"]
        self.assertEqual(self.successResultOf(drain()), [None, None])

    def test_pieces(self) -> None:
        """A line that arrives in pieces is counted as one."""
        factory = self.startAll("beside.py", "8007")[8008]
        protocol, client = factory.buildProtocol(CLIENT_ADDRESS), RecordingProtocol()
        pair = StreamPair(client, protocol)
        pair.cut = lambda waiting: 1
        client.link.write(b"hello\n")
        pair.pump()
        self.assertEqual(client.received, b"5\n")
        client.link.abortConnection()
        pair.pump()


class BehindProxyTests(ExampleTestCase):
    def test_client(self) -> None:
        """The announced client of a trusted balancer is printed; others are refused."""
        factory = self.start("behindproxy.py")
        header = b"PROXY TCP4 198.51.100.7 192.0.2.2 50000 8007\r\n"
        with mock.patch("sys.stdout", StringIO()) as output:
            balancer = IPv4Address("TCP", "192.0.2.9", 50_000)
            client = RecordingProtocol()
            pair = StreamPair(client, factory.buildProtocol(balancer))
            client.link.write(header + b"hello")
            client.link.loseWriteConnection()
            pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertIn("'198.51.100.7', port=50000) finished 5", output.getvalue())
        stranger = IPv4Address("TCP", "203.0.113.9", 50_000)
        self.assertIsNone(factory.buildProtocol(stranger))


class TestsInMemoryTests(SynchronousTestCase):
    def test_success(self) -> None:
        """The two examples of tests pass."""
        for name in ("streamtest.py", "datagramtest.py"):
            namespace = runpy.run_path(str(EXAMPLES / name))
            [case] = [value for key, value in namespace.items() if key.endswith("Tests")]
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
            self.assertEqual((result.errors, result.failures), ([], []), name)
            self.assertEqual(result.testsRun, 3)


class ProcessTests(SynchronousTestCase):
    def outputOf(self, *words: str) -> str:
        """The output of an example, which must succeed."""
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=EXAMPLES,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        return ended.stdout

    def test_client(self) -> None:
        """The client's replies arrive whole and in order."""
        with Program("--port", "0") as program:
            output = self.outputOf("client.py", f"tcp:127.0.0.1:{program.port()}")
        self.assertEqual(output, "10000000 b'pipelined'\n")

    def test_measuring(self) -> None:
        """The measuring program prints its figures."""
        with Program("--port", "0") as program:
            output = self.outputOf("measuring.py", f"udp://127.0.0.1:{program.port()}")
        self.assertRegex(output, r"^20 of 20 replies\nmedian \d+\.\d{3} ms\n$")

    def test_secure(self) -> None:
        """All bytes return over TLS after the client has ended its input."""
        certificate = Path(self.mktemp()).absolute()
        certificate.write_bytes(serverPEM())
        output = self.outputOf("secure.py", str(certificate), str(certificate))
        self.assertEqual(output, "10000000 of 10000000 bytes returned\n")

    def test_web(self) -> None:
        """The web server runs on the direct reactor."""
        if sys.platform != "linux":
            self.skipTest("the direct reactor needs Linux")
        command = [sys.executable, str(EXAMPLES / "web.py"), "tcp:0:interface=127.0.0.1"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment()
        ) as running:
            self.addCleanup(running.kill)
            assert running.stdout is not None
            port = int(running.stdout.readline().split()[-1])
            with urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as page:
                self.assertEqual(page.read(), b"served by DirectReactor\n")
            running.terminate()


class UppercaseTests(ExampleTestCase):
    def test_reply(self) -> None:
        """The reply is the data in upper case, complete even after the client's FIN."""
        factory = self.start("uppercase.py")
        self.assertEqual(self.exchange(factory, b"hello" * 50_000), b"HELLO" * 50_000)


class EmbeddedTests(ExampleTestCase):
    def test_reply(self) -> None:
        """The reply is the data."""
        self.assertEqual(self.exchange(self.start("embedded.py"), b"hello"), b"hello")

    def test_limits(self) -> None:
        """A third connection from one address and a denied address are refused."""
        factory = self.start("embedded.py")
        for number in range(2):
            StreamPair(RecordingProtocol(), factory.buildProtocol(CLIENT_ADDRESS)).pump()
            self.assertEqual(factory.admission.open, number + 1)
        self.assertIsNone(factory.buildProtocol(CLIENT_ADDRESS))
        self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", "203.0.113.9", 50_000)))

    def test_idle(self) -> None:
        """An idle client is closed after 30 seconds."""
        factory = self.start("embedded.py")
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        self.reactor.pump([1.0] * 29)
        pair.pump()
        self.assertIsNone(pair.server.closed)
        self.assertFalse("readLost" in client.events)
        self.reactor.pump([1.0] * 3)
        pair.pump()
        self.assertTrue("readLost" in client.events)

    def test_drain(self) -> None:
        """Stopping the reactor drains the factory."""
        factory = self.start("embedded.py")
        self.assertEqual(self.reactor.triggers["before"]["shutdown"], [(factory.drain, (), {})])
