"""
Tests of a client and a server in memory: no socket, no running reactor, no waiting.

    python -m unittest examples/streamtest.py
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto import EchoFactory, Timeouts, connectEcho
from echoproto.errors import ConnectionClosed
from echoproto.testing import endpointTo


class EchoTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        factory = EchoFactory(self.clock, timeouts=Timeouts(idle=30.0))
        endpoint, pairs = endpointTo(factory)
        self.client = self.successResultOf(connectEcho(endpoint, self.clock))
        [self.pair] = pairs

    def test_pieces(self) -> None:
        """Data that arrives byte by byte is echoed whole."""
        reply = self.client.echo(b"hello")
        self.pair.cut = lambda waiting: 1
        self.pair.pump()
        self.assertEqual(self.successResultOf(reply), b"hello")

    def test_reset(self) -> None:
        """An exchange fails at once when the server resets the connection."""
        reply = self.client.echo(b"hello")
        self.pair.server.abortConnection()
        self.pair.pump()
        self.failureResultOf(reply, ConnectionClosed)

    def test_idle(self) -> None:
        """The server closes a connection that has been idle for 30 seconds."""
        self.clock.pump([1.0] * 32)
        self.pair.pump()
        self.assertIsNotNone(self.pair.client.closed)
