from __future__ import annotations

from dataclasses import replace

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from echoproto.protocols.connections import CHECK_INTERVAL, ITrackedConnection
from echoproto.protocols.lifecycle import Stage
from echoproto.protocols.observer import CloseReason, ConnectionSummary
from echoproto.protocols.stream import StreamProtocol
from echoproto.protocols.streamfactory import StreamFactory
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.protocols.streamcase import (
    OTHER_ADDRESS,
    TIMEOUTS,
    SecuredTestCase,
    StreamTestCase,
)


class OpeningTests(StreamTestCase):
    def test_interfaces(self) -> None:
        """The protocol provides its declared interfaces."""
        verifyObject(IHalfCloseableProtocol, self.server)
        verifyObject(IHandshakeListener, self.server)
        verifyObject(IPushProducer, self.server)
        verifyObject(ITrackedConnection, self.server)

    def test_socketOptions(self) -> None:
        """TCP_NODELAY and keepalive are set on a TCP connection."""
        transport = self.pair.server
        self.assertTrue(transport.getTcpNoDelay() and transport.getTcpKeepAlive())

    def test_noSocketOptions(self) -> None:
        """A transport without socket options is accepted."""
        server = self.factory.buildProtocol(CLIENT_ADDRESS)
        server.makeConnection(StringTransport())
        self.assertIs(server.stage, Stage.OPEN)

    def test_observed(self) -> None:
        """The observer is notified of a new connection with its peer."""
        self.assertEqual(self.observer.opened, [CLIENT_ADDRESS])

    def test_peerOfTheFactory(self) -> None:
        """The peer is the address passed to the factory, not the one of the transport."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(OTHER_ADDRESS))
        client.link.loseConnection()
        pair.pump()
        self.assertEqual(self.observer.opened[-1], OTHER_ADDRESS)
        self.assertEqual(self.observer.ended[-1].peer, OTHER_ADDRESS)

    def test_noPeer(self) -> None:
        """A connection without an address is served normally."""
        client = RecordingProtocol()
        pair = StreamPair(client, self.factory.buildProtocol(None))
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"hello")
        self.assertIsNone(self.observer.ended[-1].peer)

    def test_subclass(self) -> None:
        """In a subclass, ``send`` counts sent bytes, and sends nothing after the FIN."""

        class Doubling(StreamProtocol):
            def dataReceived(self, data: bytes) -> None:
                self.bytesReceived += len(data)
                self.send(2 * data)

        factory = StreamFactory(self.clock, self.observer)
        factory.protocol = Doubling
        client, server = RecordingProtocol(), factory.buildProtocol(CLIENT_ADDRESS)
        pair = StreamPair(client, server)
        client.link.write(b"abc")
        pair.pump()
        server.finish()
        client.link.write(b"more")
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(client.received, b"abcabc")
        [summary] = self.observer.ended
        self.assertEqual((summary.bytesReceived, summary.bytesSent), (7, 6))
        self.assertIs(summary.ending, CloseReason.FINISHED)


class BackpressureTests(StreamTestCase):
    def test_bounded(self) -> None:
        """The server reads at most a full queue and one segment from a client that never reads."""
        self.client.link.pauseProducing()
        self.send(b"x" * 10_000_000)
        self.assertLessEqual(self.server.bytesReceived, 2 * 65_536)
        self.assertFalse(self.pair.server.reading)

    def test_resumed(self) -> None:
        """When the client reads again, all data is transferred."""
        self.client.link.pauseProducing()
        self.send(b"x" * 10_000_000)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(len(self.client.received), 10_000_000)

    def test_stopProducing(self) -> None:
        """A transport that disappears may call stopProducing before connectionLost."""
        self.server.stopProducing()
        self.assertIs(self.server.stage, Stage.OPEN)


class EndTests(StreamTestCase):
    def test_summary(self) -> None:
        """The summary has the peer, the close reason, the duration and the byte counts."""
        self.send(b"hello")
        self.clock.advance(0.5)
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(
            self.observer.ended,
            [ConnectionSummary(CLIENT_ADDRESS, CloseReason.FINISHED, 0.5, 5, 5)],
        )

    def test_reset(self) -> None:
        """A connection reset by the client is reported as lost and removed from the factory."""
        self.send(b"hello")
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.LOST)
        self.assertEqual(self.factory.tracker.connections, set())

    def test_unused(self) -> None:
        """A connection that the client ends before a byte was exchanged is unused."""
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(self.ended(), CloseReason.UNUSED)
        pair, client, _ = self.connect()
        client.link.loseWriteConnection()
        pair.pump()
        self.assertEqual(self.observer.ended[-1].ending, CloseReason.UNUSED)

    def test_endWithoutFIN(self) -> None:
        """A normal close reported without a FIN, as by TLS, is finished; any other is lost."""
        for reason, ending in ((ConnectionDone(), "finished"), (ConnectionLost(), "lost")):
            server = self.factory.buildProtocol(CLIENT_ADDRESS)
            server.makeConnection(StringTransport())
            server.dataReceived(b"hello")
            server.connectionLost(Failure(reason))
            self.assertEqual(self.observer.ended[-1].ending.value, ending)


class HandshakeTests(SecuredTestCase):
    def test_notOpenYet(self) -> None:
        """During the handshake a connection has a place but is not reported as opened."""
        self.assertIs(self.server.stage, Stage.SECURING)
        self.assertEqual(self.observer.opened, [])
        self.assertEqual(self.admission.open, 1)

    def test_completed(self) -> None:
        """After the handshake the connection is open, and the handshake timeout does not apply."""
        self.wait(TIMEOUTS.handshake - 1)
        self.server.handshakeCompleted()
        self.assertIs(self.server.stage, Stage.OPEN)
        self.assertEqual(self.observer.opened, [OTHER_ADDRESS])
        self.wait(2 * TIMEOUTS.handshake)
        self.server.dataReceived(b"hello")
        self.assertEqual(self.transport.value(), b"hello")
        self.assertFalse(self.transport.disconnecting)
        self.lose(ConnectionDone())
        self.assertEqual((self.ended(), self.observer.refused), (CloseReason.FINISHED, []))
        self.assertReleased()

    def test_idleSinceTheHandshake(self) -> None:
        """The idle timeout starts at the end of the handshake."""
        self.factory.timeouts = replace(TIMEOUTS, idle=20.0)
        self.wait(TIMEOUTS.handshake - 1)
        self.server.handshakeCompleted()
        self.wait(19)
        self.assertFalse(self.transport.disconnecting)
        self.wait(1 + CHECK_INTERVAL)
        self.assertTrue(self.transport.disconnecting)
        self.lose(ConnectionDone())
        self.assertEqual(self.ended(), CloseReason.IDLE)

    def test_failed(self) -> None:
        """A connection lost during the handshake is reported as refused."""
        self.lose(ConnectionLost())
        self.assertRefused("TLS handshake failed")

    def test_closed(self) -> None:
        """A connection closed normally during the handshake is also reported as refused."""
        self.lose(ConnectionDone())
        self.assertRefused("TLS handshake failed")

    def test_finish(self) -> None:
        """finish() during the handshake has no effect."""
        self.server.finish()
        self.assertFalse(self.transport.disconnecting)
        self.assertIs(self.server.stage, Stage.SECURING)
        self.lose(ConnectionDone())
