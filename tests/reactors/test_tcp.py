from __future__ import annotations

from twisted.internet.protocol import ClientFactory

from echoproto.reactors.tcp import TCPClient, TCPConnector
from tests.reactors.turns import TurnTestCase


class ConnectorTests(TurnTestCase):
    def test_transports(self) -> None:
        """A connector creates direct transports."""
        factory = ClientFactory()
        factory.noisy = False
        connector = TCPConnector("127.0.0.1", 0, factory, 30.0, None, self.reactor)
        self.assertIsInstance(connector._makeTransport(), TCPClient)
        self.turn()
