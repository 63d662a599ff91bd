"""The programs in ``examples/`` run on a reactor in memory."""

from __future__ import annotations

import runpy
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.loopback.program import ROOT


class ExampleTestCase(SynchronousTestCase):
    """Runs ``main`` of an example on a reactor in memory."""

    def start(self, name: str) -> Any:
        """Start the example and return the factory of its listener."""
        self.reactor = MemoryReactorClock()
        main = runpy.run_path(str(ROOT / "examples" / name))["main"]
        running: Deferred[None] = ensureDeferred(main(self.reactor, "tcp:8007"))
        self.assertNoResult(running)
        self.addCleanup(self.failureResultOf, running)
        self.addCleanup(running.cancel)
        [(port, factory, *_)] = self.reactor.tcpServers
        self.assertEqual(port, 8007)
        return factory

    def exchange(self, factory: Any, data: bytes) -> bytes:
        """Send ``data`` and a FIN; return the reply."""
        client = RecordingProtocol()
        pair = StreamPair(client, factory.buildProtocol(CLIENT_ADDRESS))
        client.link.write(data)
        client.link.loseWriteConnection()
        pair.pump()
        self.assertIsNotNone(pair.server.closed)
        return client.received


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
