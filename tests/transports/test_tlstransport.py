"""TLS: written data and its end, producers, and closing."""

from __future__ import annotations

from typing import Any
from unittest import mock

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.task import Clock
from twisted.protocols.wire import Echo
from zope.interface import implementer

from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.testing import RecordingObserver, RecordingProtocol
from echoproto.testing.streams import CLIENT_ADDRESS, QUEUE_LIMIT
from echoproto.transports.tlsengine import READ_SIZE
from echoproto.transports.tlstransport import ENCRYPTED_SIZE
from tests.transports.tlscase import LONG, RecordingProducer, SingleFactory, TLSTestCase


class EarlyHalfClosingProtocol(RecordingProtocol):
    """
    Half-closes as soon as it is connected, before the handshake.

    :param text: the data to write first.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(self._text)
        self.link.loseWriteConnection()


@implementer(IHandshakeListener)
class HalfClosingProtocol(RecordingProtocol):
    """Writes before the handshake, and half-closes when the handshake is complete."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(SERVER_GREETING)

    def handshakeCompleted(self) -> None:
        self.link.loseWriteConnection()


class EarlyClosingProtocol(RecordingProtocol):
    """Writes and closes as soon as it is connected, before the handshake."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(SERVER_GREETING)
        self.link.loseConnection()


class EndOfOutputTests(TLSTestCase):
    def test_inputContinues(self) -> None:
        """After a half-close, data is received until the peer's close ends the connection."""
        served = self.serve(RecordingProtocol())
        served.link.write(LONG)
        served.link.loseWriteConnection()
        self.pair.pump()
        self.assertTrue(self.client.received == LONG)
        self.assertEqual(self.client.events, ["closeNotify"])
        self.assertEqual(served.events, ["made", "writeLost"])
        self.send(b"still")
        self.send(b" here", closeNotify=True)
        self.assertEqual(served.received, b"still here")
        self.assertEqual(served.events, ["made", "writeLost", "data", "readLost", "lost"])
        self.assertClosed()

    def test_inputInTransit(self) -> None:
        """Data that the peer sent before it received the half-close is received."""
        served = self.serve(RecordingProtocol())
        self.client.send(LONG, closeNotify=True)
        served.link.loseWriteConnection()
        self.pair.pump()
        self.assertTrue(served.received == LONG)
        self.assertClosed()

    def test_once(self) -> None:
        """A second half-close, and writes after the first one, have no effect."""
        served = self.serve(RecordingProtocol())
        for _ in range(2):
            served.link.loseWriteConnection()
            self.pair.pump()
            served.link.write(b"too late")
        self.pair.pump()
        self.assertEqual(served.events, ["made", "writeLost"])
        self.assertEqual((self.client.received, self.client.events), (b"", ["closeNotify"]))

    def test_inEvent(self) -> None:
        """A half-close at the first of several records loses none of the others."""

        class AnsweringProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.loseWriteConnection()

        served = self.serve(AnsweringProtocol())
        self.send(LONG[:40_000], closeNotify=True)
        self.turn()
        self.assertTrue(served.received == LONG[:40_000])
        self.assertClosed()

    def test_afterInput(self) -> None:
        """A half-close after the end of input closes the connection."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            served = self.serve(RecordingProtocol())
            self.send(closeNotify=closeNotify, fin=fin)
            served.link.write(b"bye")
            served.link.loseWriteConnection()
            self.pair.pump()
            self.assertEqual(self.client.received, b"bye")
            self.assertEqual(served.events, ["made", "readLost", "writeLost", "lost"])
            self.assertClosed()

    def test_beforeHandshake(self) -> None:
        """A half-close before the handshake takes effect after it, and after pending data."""
        for text in (b"", SERVER_GREETING):
            served = self.serve(EarlyHalfClosingProtocol(text))
            self.assertEqual(self.client.received, text)
            self.assertEqual(self.client.events, ["closeNotify"])
            self.send(b"thanks", closeNotify=True)
            self.assertEqual(served.events, ["made", "writeLost", "data", "readLost", "lost"])
            self.assertClosed()

    def test_atHandshake(self) -> None:
        """A half-close at the end of the handshake takes effect after data written before it."""
        self.serve(HalfClosingProtocol())
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(self.client.events, ["closeNotify"])

    def test_notHalfCloseable(self) -> None:
        """A protocol without half-close support can half-close too."""
        echo: Any = Echo()
        self.connect(SingleFactory(echo))
        self.pair.pump()
        echo.transport.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.events, ["closeNotify"])
        self.send(b"unanswered", closeNotify=True)
        self.assertEqual(self.client.received, b"")
        self.assertClosed()

    def test_closedAfterwards(self) -> None:
        """loseConnection after a half-close does not wait for the peer."""
        served = self.serve(RecordingProtocol())
        served.link.loseWriteConnection()
        served.link.loseConnection()
        self.pair.pump()
        self.assertClosed()


class EndOfOutputTLS12Tests(EndOfOutputTests):
    version = SSL.TLS1_2_VERSION


class ClosingTests(TLSTestCase):
    def test_flushed(self) -> None:
        """All written data arrives, then close_notify, then a FIN."""
        served = self.serve(RecordingProtocol())
        served.link.writeSequence([LONG, b"end"])
        served.link.loseConnection()
        self.pair.pump()
        self.assertTrue(self.client.received == LONG + b"end")
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()

    def test_asAProducer(self) -> None:
        """stopProducing on the transport flushes and closes it."""
        served = self.serve(RecordingProtocol())
        served.link.write(b"end")
        served.link.stopProducing()
        self.pair.pump()
        self.assertEqual(self.client.received, b"end")
        self.assertClosed()

    def test_pausedProducer(self) -> None:
        """A push producer is stopped, even if paused, and does not keep the connection open."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.pauseProducing()
        served.link.write(LONG)
        self.pair.pump()
        served.link.loseConnection()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual({*producer.events[:-1]}, {"pause"})
        self.assertEqual(producer.events[-1], "stop")
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_ownProducer(self) -> None:
        """A transport registered as its own producer closes normally."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(served.link, True)
        served.link.write(LONG)
        served.link.loseConnection()
        self.pair.pump()
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_pullProducer(self) -> None:
        """A pull producer delays the close; meanwhile, received data and its end are ignored."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(RecordingProducer(), False)
        served.link.loseConnection()
        self.client.send(b"unheard", closeNotify=True, fin=True)
        # Not until nothing moves: the producer is resumed for ever.
        for _ in range(10):
            self.pair.step()
        served.link.loseWriteConnection()
        served.link.write(b"the last")
        self.pair.step()
        self.assertEqual((served.events, self.client.events), (["made"], []))
        served.link.unregisterProducer()
        self.pair.pump()
        self.assertEqual(self.client.received, b"the last")
        self.assertEqual(served.events, ["made", "lost"])
        # Then a FIN, or a reset, because data was not read.
        self.assertEqual((self.client.events[0], self.client.events[-1]), ("closeNotify", "lost"))

    def test_beforeHandshake(self) -> None:
        """A connection closed before the handshake, without pending data, is aborted."""
        self.connect(SingleFactory(served := RecordingProtocol()))
        served.link.loseConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertEqual(served.events, ["made", "lost"])

    def test_writtenBeforeHandshake(self) -> None:
        """Data written before the handshake arrives before the connection is closed."""
        served = self.serve(EarlyClosingProtocol())
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()

    def test_abort(self) -> None:
        """An abort closes the connection at once and discards pending data."""
        served = self.serve(RecordingProtocol())
        served.link.write(LONG)
        served.link.abortConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertTrue(served.reason and served.reason.check(ConnectionAborted))
        self.assertEqual((self.client.received, self.client.events), (b"", ["lost"]))

    def test_notBytes(self) -> None:
        """Other types than bytes raise TypeError, before the handshake and at the end too."""
        self.connect(SingleFactory(served := RecordingProtocol()))
        for isOver in (False, False, True):
            for data in (bytearray(b"data"), memoryview(b"data"), "text", None):
                with self.assertRaises(TypeError):
                    served.link.write(data)
            self.pair.pump()
            if not isOver:
                served.link.write(b"data")
        self.assertEqual(self.client.received, b"datadata")

    def test_callsAfterwards(self) -> None:
        """After the connection is closed, calls of the transport have no effect."""
        served = self.serve(RecordingProtocol())
        served.link.loseConnection()
        self.pair.pump()
        served.link.write(b"too late")
        served.link.loseWriteConnection()
        served.link.loseConnection()
        served.link.abortConnection()
        self.pair.pump()
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()


class ClosingTLS12Tests(ClosingTests):
    version = SSL.TLS1_2_VERSION


class EarlyProducerTests(TLSTestCase):
    """What a protocol does before the handshake."""

    def served(self) -> RecordingProtocol:
        """Connect to a protocol without starting the handshake."""
        protocol = RecordingProtocol()
        self.connect(SingleFactory(protocol))
        return protocol

    def test_producer(self) -> None:
        """A push producer is paused by much data written before the handshake, which is sent."""
        served = self.served()
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.assertEqual(producer.events, [])
        for piece in (LONG[:1], LONG[1:], b"end"):
            served.link.write(piece)
        self.assertIn("pause", producer.events)
        self.pair.pump()
        self.assertEqual(producer.events[-1], "resume")
        self.assertTrue(self.client.received == LONG + b"end")

    def test_pullProducer(self) -> None:
        """A pull producer that is gone before the handshake leaves the connection open."""
        served = self.served()
        served.link.registerProducer(RecordingProducer(), False)
        served.link.unregisterProducer()
        served.link.unregisterProducer()
        self.pair.pump()
        self.send(b"received")
        self.assertEqual(served.received, b"received")

    def test_closed(self) -> None:
        """One that is closed before the handshake, with data, is not notified of its completion."""
        observer = RecordingObserver()
        factory: Any = EchoFactory(Clock(), observer)
        protocol = factory.buildProtocol(CLIENT_ADDRESS)
        self.connect(SingleFactory(protocol))
        protocol.transport.write(b"busy")
        protocol.transport.loseConnection()
        self.pair.pump()
        self.assertEqual(self.client.received, b"busy")
        self.assertEqual(observer.opened, [])
        self.assertClosed()


class ProducerTests(TLSTestCase):
    """What is promised in memory only."""

    def test_garbage(self) -> None:
        """Data that was written before invalid TLS data arrives before the alert."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.pauseProducing()
        served.link.write(LONG)
        self.client.link.write(b"garbage")
        self.pair.pump()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual({*producer.events[:-1]}, {"pause"})
        self.assertEqual(producer.events[-1], "stop")
        self.assertTrue(self.client.received == LONG)

    def test_below(self) -> None:
        """A protocol reaches the addresses and the options of the transport below."""
        served = self.serve(RecordingProtocol())
        self.assertEqual(served.link.getHost(), self.pair.server.getHost())
        self.assertEqual(served.link.getPeer(), self.pair.client.getHost())
        served.link.setTcpNoDelay(True)
        self.assertTrue(self.pair.server.getTcpNoDelay())

    def test_noPeerCertificate(self) -> None:
        """A peer without a certificate has none."""
        self.assertIsNone(self.serve(RecordingProtocol()).link.getPeerCertificate())

    def test_pullProducer(self) -> None:
        """A pull producer that is registered before the handshake is resumed after it."""
        protocol = RecordingProtocol()
        self.connect(SingleFactory(protocol))
        protocol.link.registerProducer(producer := RecordingProducer(), False)
        # Not until nothing moves: the producer is resumed for ever.
        for _ in range(10):
            self.pair.step()
        self.assertEqual(producer.events[0], "resume")

    def test_producerAfterwards(self) -> None:
        """A producer registered after loseConnection is stopped, and the connection closes."""
        for isStreaming in (True, False):
            served = self.serve(RecordingProtocol())
            served.link.loseConnection()
            served.link.registerProducer(producer := RecordingProducer(), isStreaming)
            self.pair.pump()
            self.assertEqual(producer.events, ["stop"])
            self.assertClosed()

    def test_lateProducer(self) -> None:
        """A producer that is registered after the end is stopped."""
        served = self.serve(RecordingProtocol())
        served.link.abortConnection()
        self.pair.pump()
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.assertEqual(producer.events, ["stop"])

    def test_stays(self) -> None:
        """A producer that is registered stays so after our close_notify."""
        protocol = self.serve(RecordingProtocol())
        producer = RecordingProducer()
        protocol.link.registerProducer(producer, True)
        protocol.link.loseWriteConnection()
        self.pair.pump()
        self.assertIs(self.pair.server._producer, producer)


class AnswersAfterOutputTests(TLSTestCase):
    """OpenSSL's answers after our close_notify."""

    def test_fullQueueAfterOutput(self) -> None:
        """
        After our close_notify a peer that requests answers, and does not read them, is not read;
        when it reads, it is read again.
        """
        protocol = self.serve(RecordingProtocol())
        protocol.link.loseWriteConnection()
        protocol.link.loseWriteConnection()
        self.client.link.pauseProducing()
        for _ in range(3):
            self.server._engine.outgoing.write(bytes(QUEUE_LIMIT))
            self.server._flush()
        self.send(b"unread")
        self.assertEqual(protocol.received, b"")
        self.pair.server.queue.clear()
        self.pair.pump()
        self.assertEqual(protocol.received, b"unread")
        protocol.link.loseConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionDone)

    def test_echoOfMuch(self) -> None:
        """
        After our close_notify data is received however much of ours is queued: a server that sends
        it back reads on only when its replies are read.
        """
        protocol = self.serve(RecordingProtocol())
        self.client.link.pauseProducing()
        for _ in range(3):
            protocol.link.write(bytes(QUEUE_LIMIT))
        protocol.link.loseWriteConnection()
        self.pair.server.write(b"")
        self.send(b"reply")
        self.assertEqual(protocol.received, b"reply")
        self.server._pauser.pauseProducing()
        self.server._pauser.resumeProducing()
        self.assertTrue(self.pair.server.reading)
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(self.client.received, bytes(3 * QUEUE_LIMIT))

    def test_muchWritten(self) -> None:
        """However much is written at once, the memory of a factory stays small."""
        served = self.serve(RecordingProtocol())
        sizes: list[int] = []
        outgoing = self.server._engine.outgoing

        def read() -> Any:
            sizes.append(outgoing.pending)
            return outgoing.read()

        self.server._engine.outgoing = mock.Mock(read=read)
        data = bytes(5 * ENCRYPTED_SIZE)
        served.link.write(data)
        self.pair.pump()
        self.assertTrue(self.client.received == data)
        self.assertLess(max(sizes), ENCRYPTED_SIZE + READ_SIZE)
