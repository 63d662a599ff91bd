"""
Tests of datagrams on a wire in memory that loses, duplicates, reorders and corrupts them.

    python -m unittest examples/datagramtest.py
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto import EchoDatagramProtocol, connectEchoDatagram
from echoproto.errors import EchoMismatch, ExchangeTimeout
from echoproto.testing import DatagramWire


class EchoDatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.wire.listenUDP(7, EchoDatagramProtocol(self.wire))
        self.client = self.successResultOf(connectEchoDatagram(self.wire, "127.0.0.1", 7))

    def test_loss(self) -> None:
        """Without a reply the exchange fails after its timeout."""
        reply = self.client.echo(b"hello", timeout=1.0)
        self.wire.lose()
        self.wire.advance(1.0)
        self.failureResultOf(reply, ExchangeTimeout)

    def test_order(self) -> None:
        """Datagrams that overtake each other find their exchanges."""
        replies = [self.client.echo(b"first"), self.client.echo(b"second")]
        self.wire.swap(0, 1)
        self.wire.deliverAll()
        self.assertEqual([self.successResultOf(reply) for reply in replies], [b"first", b"second"])

    def test_corruption(self) -> None:
        """A damaged reply is an error with the position of the damage."""
        reply = self.client.echo(b"hello")
        self.wire.deliver()
        self.wire.corrupt(offset=4)
        self.wire.deliverAll()
        self.assertEqual(self.failureResultOf(reply, EchoMismatch).value.offset, 4)
