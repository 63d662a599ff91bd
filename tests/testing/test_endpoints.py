from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import RecordingProtocol, endpointTo


class EndpointTests(SynchronousTestCase):
    def test_connects(self) -> None:
        """connect() makes a pair with a protocol of the server's factory."""
        endpoint, pairs = endpointTo(Factory.forProtocol(RecordingProtocol))
        client = self.successResultOf(endpoint.connect(Factory.forProtocol(RecordingProtocol)))
        self.successResultOf(endpoint.connect(Factory.forProtocol(RecordingProtocol)))
        self.assertEqual(len(pairs), 2)
        self.assertIs(pairs[0].client.protocol, client)

    def test_refused(self) -> None:
        """If the server's factory builds no protocol, the connection is refused."""

        class Refusing(Factory):
            def buildProtocol(self, addr: Any) -> None:
                return None

        endpoint, pairs = endpointTo(Refusing())
        connecting = endpoint.connect(Factory.forProtocol(RecordingProtocol))
        self.failureResultOf(connecting, ConnectionRefusedError)
        self.assertEqual(pairs, [])
