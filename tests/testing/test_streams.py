from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import MemoryTransport, RecordingProtocol, StreamPair
from echoproto.testing import streams as module


class FullClosing(Protocol):
    """A protocol without half-close support."""

    def __init__(self) -> None:
        self.reason: Failure | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason


class Producer:
    """Records its calls; as a pull producer it writes one byte per call."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")
        self.transport.write(b"x")
        if len(self.events) == 3:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.events.append("stop")


class PairTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client, self.server = RecordingProtocol(), RecordingProtocol()
        self.pair = StreamPair(self.client, self.server)


class WriteTests(PairTestCase):
    def test_pump(self) -> None:
        """Data arrives in both directions when the pair is pumped, and not before."""
        self.client.link.write(b"to")
        self.server.link.writeSequence([b"fr", b"o"])
        self.assertEqual((self.server.received, self.client.received), (b"", b""))
        self.pair.pump()
        self.assertEqual((self.server.received, self.client.received), (b"to", b"fro"))

    def test_onlyBytes(self) -> None:
        """Data of other types than bytes raises TypeError, as in Twisted."""
        self.assertRaises(TypeError, self.client.link.write, "text")

    @given(st.binary(max_size=200), st.data())
    def test_cut(self, data: bytes, draw: st.DataObject) -> None:
        """However the data is split, all of it arrives in order."""
        server, client = RecordingProtocol(), RecordingProtocol()
        pair = StreamPair(client, server, cut=lambda waiting: draw.draw(st.integers(1, waiting)))
        client.link.write(data)
        pair.pump()
        self.assertEqual(server.received, data)

    def test_pausedReader(self) -> None:
        """A paused protocol receives nothing until it resumes."""
        self.server.link.pauseProducing()
        self.client.link.write(b"later")
        self.pair.pump()
        self.assertEqual(self.server.received, b"")
        self.server.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(self.server.received, b"later")

    def test_endlessExchange(self) -> None:
        """Two ends that never stop sending raise an error instead of hanging."""
        self.patch(module, "STEP_LIMIT", 10)
        self.client.link.write(b"x" * 100)
        self.pair.cut = lambda waiting: 1
        self.assertRaises(AssertionError, self.pair.pump)


class ProducerTests(PairTestCase):
    def test_pushProducer(self) -> None:
        """A push producer is paused above 64 KiB and resumed when the queue is empty."""
        producer = Producer(self.client.link)
        self.client.link.registerProducer(producer, True)
        self.client.link.write(b"x" * 65_536)
        self.assertEqual(producer.events, [])
        self.client.link.write(b"x")
        self.assertEqual(producer.events, ["pause"])
        self.pair.pump()
        self.assertEqual(producer.events, ["pause", "resume"])

    def test_pullProducer(self) -> None:
        """A pull producer is resumed whenever the queue is empty, until it is unregistered."""
        producer = Producer(self.client.link)
        self.client.link.registerProducer(producer, False)
        self.pair.pump()
        self.assertEqual(producer.events, ["resume"] * 3)
        self.assertEqual(self.server.received, b"xxx")

    def test_stopped(self) -> None:
        """A producer is stopped at the end of the connection, and a later one at once."""
        producer, late = Producer(self.client.link), Producer(self.client.link)
        self.client.link.registerProducer(producer, True)
        self.server.link.abortConnection()
        self.pair.pump()
        self.assertEqual(producer.events, ["stop"])
        self.client.link.unregisterProducer()
        self.client.link.registerProducer(late, True)
        self.assertEqual(late.events, ["stop"])

    def test_secondProducer(self) -> None:
        """A second producer raises, as in Twisted."""
        self.client.link.registerProducer(Producer(self.client.link), True)
        self.assertRaises(RuntimeError, self.client.link.registerProducer, None, True)

    def test_closeWithPausedProducer(self) -> None:
        """With a paused producer registered, the connection does not close (twisted#6461)."""
        producer = Producer(self.client.link)
        self.client.link.registerProducer(producer, True)
        self.server.link.pauseProducing()
        self.client.link.write(b"x" * 70_000)
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertIsNone(self.pair.client.closed)
        self.server.link.resumeProducing()
        self.pair.pump()
        self.assertIsInstance(self.pair.client.closed, ConnectionDone)


class ClosingTests(PairTestCase):
    def test_halfClose(self) -> None:
        """A FIN follows queued data, and the other direction stays open."""
        self.client.link.write(b"last")
        self.client.link.loseWriteConnection()
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.events, ["made", "writeLost"])
        self.assertEqual(self.server.events, ["made", "data", "readLost"])
        self.client.link.write(b"too late")
        self.server.link.write(b"answer")
        self.pair.pump()
        self.assertEqual((self.server.received, self.client.received), (b"last", b"answer"))

    def test_closeAfterOwnFIN(self) -> None:
        """loseConnection after a half-close closes at once, as in Twisted."""
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.client.link.loseConnection()
        self.assertEqual(self.client.events[-1], "lost")

    def test_close(self) -> None:
        """loseConnection flushes, then closes; the other end receives a FIN."""
        self.client.link.write(b"last")
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.server.received, b"last")
        self.assertEqual(self.client.events, ["made", "lost"])
        self.assertEqual(self.server.events, ["made", "data", "readLost"])
        self.server.link.stopProducing()
        self.pair.pump()
        assert self.server.reason is not None
        self.assertTrue(self.server.reason.check(ConnectionDone))

    def test_plainProtocol(self) -> None:
        """A protocol without half-close support is closed at the other end's FIN."""
        plain = FullClosing()
        pair = StreamPair(self.client, plain)
        self.client.link.loseWriteConnection()
        pair.pump()
        assert plain.reason is not None
        self.assertTrue(plain.reason.check(ConnectionDone))

    def test_plainProtocolSendsFIN(self) -> None:
        """A protocol without half-close support can half-close, and is not notified."""
        pair = StreamPair(FullClosing(), self.server)
        pair.client.loseWriteConnection()
        pair.pump()
        self.assertEqual(self.server.events[-1], "readLost")

    def test_abort(self) -> None:
        """An abort discards queued data, and the other end is reset."""
        self.client.link.write(b"never seen")
        self.client.link.abortConnection()
        self.client.link.write(b"nor this")
        self.pair.pump()
        self.assertEqual(self.server.received, b"")
        self.assertIsInstance(self.pair.client.closed, ConnectionAborted)
        self.assertIsInstance(self.pair.server.closed, ConnectionLost)
        self.client.link.write(b"nor this either")
        self.assertEqual(self.pair.client.queue, b"")

    def test_abortAfterTheOtherClosed(self) -> None:
        """An abort does not affect an end that is already closed."""
        self.server.link.loseConnection()
        self.pair.pump()
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.client.closed, ConnectionAborted)
        self.assertIsInstance(self.pair.server.closed, ConnectionDone)

    def test_closeWithUnreadInput(self) -> None:
        """Closing with unread data resets the other end (RFC 2525 section 2.17)."""
        self.server.link.write(b"unread")
        self.client.link.loseConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionLost)

    def test_pausedReaderSeesNoFIN(self) -> None:
        """A paused protocol does not receive the FIN."""
        self.server.link.pauseProducing()
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.server.events, ["made"])


class TransportTests(PairTestCase):
    def test_interfaces(self) -> None:
        """The transport has all methods of the interfaces of Twisted's TCP transport."""
        real = {name for interface in ITCPTransport.__iro__ for name in interface.names()}
        real |= set(IConsumer.names()) | set(IPushProducer.names())
        self.assertTrue(all(hasattr(Server, name) for name in real))
        self.assertEqual([name for name in real if not hasattr(MemoryTransport, name)], [])

    def test_options(self) -> None:
        """Socket options keep their values."""
        link: Any = self.client.link
        self.assertFalse(link.getTcpNoDelay() or link.getTcpKeepAlive())
        link.setTcpNoDelay(True)
        link.setTcpKeepAlive(True)
        self.assertTrue(link.getTcpNoDelay() and link.getTcpKeepAlive())

    def test_addresses(self) -> None:
        """The host of one end is the peer of the other."""
        self.assertEqual(self.client.link.getHost(), self.server.link.getPeer())
        self.assertEqual(self.client.link.getPeer(), self.server.link.getHost())
