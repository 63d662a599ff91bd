"""An echo connection in memory for the tests of its parts."""

from __future__ import annotations

from twisted.internet.address import IPv6Address
from twisted.internet.interfaces import (
    ISSLTransport,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.echo import EchoFactory, EchoProtocol
from echoproto.protocols.observer import CloseReason
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS

TIMEOUTS = Timeouts()

#: A client address that differs from :data:`CLIENT_ADDRESS`.
OTHER_ADDRESS = IPv6Address("TCP", "2001:db8::7", 50_001)


def secureTransport() -> StringTransport:
    """Make a TLS transport like Twisted's, which cannot be half-closed."""
    transport = StringTransport()
    directlyProvides(transport, ISSLTransport)
    return transport


class StreamTestCase(SynchronousTestCase):
    """An echo connection in memory, and a client controlled by the test."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.admission = ConnectionAdmission(self.clock.seconds)
        self.factory = EchoFactory(self.clock, self.observer, self.admission, TIMEOUTS)
        self.pair, self.client, self.server = self.connect()

    def connect(self) -> tuple[StreamPair, RecordingProtocol, EchoProtocol]:
        client = RecordingProtocol()
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        return StreamPair(client, server), client, server

    def send(self, data: bytes) -> None:
        self.client.link.write(data)
        self.pair.pump()

    def wait(self, seconds: float) -> None:
        """Advance the clock in steps, and move data after each."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.pair.pump()

    def holdsQueue(self) -> None:
        """Make the factory see the queue of the memory transport as unsent kernel data."""
        self.factory.unsentBytes = lambda transport: len(transport.queue)

    def neverRead(self) -> None:
        """The client sends more than the queue holds and reads nothing, which pauses the server."""
        self.holdsQueue()
        self.client.link.pauseProducing()
        self.send(b"x" * 1_000_000)
        self.assertFalse(self.pair.server.reading)

    def ended(self) -> CloseReason:
        [summary] = self.observer.ended
        return summary.ending

    def assertReleased(self) -> None:
        """All places are released, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SecuredTestCase(StreamTestCase):
    """A connection during its TLS handshake."""

    def setUp(self) -> None:
        super().setUp()
        self.client.link.loseConnection()
        self.pair.pump()
        self.observer.opened.clear()
        self.observer.ended.clear()
        self.transport = secureTransport()
        self.server = self.factory.buildProtocol(OTHER_ADDRESS)
        self.server.makeConnection(self.transport)

    def lose(self, error: Exception) -> None:
        self.server.connectionLost(Failure(error))

    def assertRefused(self, reason: str) -> None:
        """The connection was refused, not reported as opened or ended, and its place released."""
        self.assertEqual(self.observer.refused, [(OTHER_ADDRESS, reason)])
        self.assertEqual((self.observer.opened, self.observer.ended), ([], []))
        self.assertReleased()
