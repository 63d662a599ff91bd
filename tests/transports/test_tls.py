from __future__ import annotations

import contextlib
import ssl
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any
from unittest import mock

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING, GreetingFactory
from echoproto.protocols.observer import CloseReason
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS, PIECE_SIZE, QUEUE_LIMIT
from echoproto.transports.tls import (
    ENCRYPTED_SIZE,
    READ_SIZE,
    RECORDS_PER_TURN,
    TLSStream,
    TLSStreamFactory,
)
from tests.certificates import authority, clientContext, issued, serverContext, serverPEM

#: More than the queues hold, so that both sides are paused.
LONG = Random(8446).randbytes(400_000)


@implementer(IHalfCloseableProtocol)
class TLSClient(Protocol):
    """
    A client that uses OpenSSL directly, so that one call sends everything in one segment.

    :param version: the only TLS version of the client.
    :param pem: its key and certificate; with ``isServer`` it has the role of the server.
    :ivar received: decrypted data from the server.
    :ivar events: other events: ``closeNotify``, ``alert``, ``fin``, ``lost``.
    """

    def __init__(self, version: int, pem: bytes = b"", isServer: bool = False) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        if pem:
            with NamedTemporaryFile() as file:
                file.write(pem)
                file.flush()
                context.use_certificate_chain_file(file.name)
                context.use_privatekey_file(file.name)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        self.received = b""
        self.events: list[str] = []
        self._tls = SSL.Connection(context, None)
        if isServer:
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()

    @property
    def link(self) -> Any:
        """The transport."""
        return self.transport

    def connectionMade(self) -> None:
        self._read()

    def dataReceived(self, data: bytes) -> None:
        self._tls.bio_write(data)
        self._read()

    def readConnectionLost(self) -> None:
        self.events.append("fin")
        self.link.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")

    def send(self, data: bytes = b"", closeNotify: bool = False, fin: bool = False) -> None:
        """Send ``data`` and the requested ends in one segment."""
        for start in range(0, len(data), READ_SIZE):
            self._tls.send(data[start : start + READ_SIZE])
        if closeNotify:
            self._tls.shutdown()
        self._flush()
        if fin:
            self.link.loseWriteConnection()

    def _read(self) -> None:
        try:
            while True:
                self.received += self._tls.recv(PIECE_SIZE)
        except SSL.WantReadError:
            self._flush()
        except SSL.ZeroReturnError:
            self.events.append("closeNotify")
        except SSL.Error:
            self.events.append("alert")

    def _flush(self) -> None:
        try:
            while True:
                self.link.write(self._tls.bio_read(PIECE_SIZE))
        except SSL.WantReadError:
            pass


class SingleFactory(Factory):
    """Builds its one protocol, or ``None``."""

    noisy = False

    def __init__(self, protocol: Protocol | None) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return self._protocol


class RecordingProducer:
    """Records its calls."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


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


class PausingProtocol(RecordingProtocol):
    """Pauses whenever it receives data."""

    def dataReceived(self, data: bytes) -> None:
        """Record it, and pause."""
        super().dataReceived(data)
        self.link.pauseProducing()


class FailingProtocol(RecordingProtocol):
    """Raises at the end of input."""

    def readConnectionLost(self) -> None:
        raise ZeroDivisionError


class TLSTestCase(SynchronousTestCase):
    """
    A connection in memory, with TLS on the server's end and a client controlled by the test.

    test_tlsonsockets.py runs its subclasses with the server's end on a socket too.
    """

    version = SSL.TLS1_3_VERSION
    otherVersion = ssl.TLSVersion.TLSv1_2

    def connect(
        self, factory: Any, only: ssl.TLSVersion | None = None, intermediates: int = 0
    ) -> None:
        """
        Connect a client to a TLS server.

        :param factory: the factory of the server.
        :param only: the only TLS version of the server; all versions by default.
        :param intermediates: the number of additional certificates in its chain.
        """
        pem = serverPEM() + authority("authority").certificatePEM * intermediates
        self.begin(serverContext(pem, only), factory, TLSClient(self.version))

    def begin(
        self, context: ssl.SSLContext, factory: Any, client: TLSClient, hostname: str | None = None
    ) -> None:
        """Connect ``client``, whichever role in TLS it has."""
        self.clock = Clock()
        self.client = client
        self.pair = self.pairOf(
            client, TLSStreamFactory(lambda: context, factory, self.clock, hostname)
        )

    def pairOf(self, client: TLSClient, tls: TLSStreamFactory) -> Any:
        """The connection of ``client`` to a server that ``tls`` builds."""
        self.server = tls.buildProtocol(CLIENT_ADDRESS)
        return StreamPair(client, self.server)

    def serve(self, protocol: RecordingProtocol) -> RecordingProtocol:
        """Connect to ``protocol`` and complete the handshake."""
        self.connect(SingleFactory(protocol))
        self.pair.pump()
        return protocol

    def send(self, data: bytes = b"", closeNotify: bool = False, fin: bool = False) -> None:
        self.client.send(data, closeNotify, fin)
        self.pair.pump()

    def turn(self) -> None:
        """One turn of the reactor; a Clock would also make the calls that it schedules."""
        calls, self.clock.calls = self.clock.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args)
        self.pair.pump()

    def assertClosed(self) -> None:
        """The client received close_notify and a FIN, and the server closed normally."""
        self.assertEqual(self.client.events, ["closeNotify", "fin", "lost"])
        self.assertIsInstance(self.pair.server.closed, ConnectionDone)


class LongHandshakeTests(TLSTestCase):
    def test_handshake(self) -> None:
        """A handshake is sent completely, even if larger than OpenSSL's buffer."""
        self.connect(EchoFactory(Clock()), intermediates=100)
        self.pair.pump()
        self.send(b"hello", closeNotify=True)
        self.assertEqual(self.client.received, b"hello")
        self.assertClosed()


class EchoTests(TLSTestCase):
    messages: tuple[bytes, ...] = (b"", b"1", LONG[:1000], LONG[:40_019], LONG)

    def cut(self, waiting: int) -> int:
        return waiting

    def connectEcho(self) -> None:
        self.observer = RecordingObserver()
        self.factory = EchoFactory(Clock(), self.observer)
        self.connect(self.factory)
        self.pair.cut = self.cut
        self.pair.pump()

    def check(self, closeNotify: bool, fin: bool) -> None:
        """Every message is echoed completely if the end follows it in the same segment."""
        for message in self.messages:
            self.connectEcho()
            self.send(message, closeNotify, fin)
            self.assertEchoed(message)

    def assertEchoed(self, message: bytes) -> None:
        self.assertTrue(self.client.received == message, f"{len(message)} bytes did not come back")
        self.assertClosed()
        [summary] = self.observer.ended
        ending = CloseReason.FINISHED if message else CloseReason.UNUSED
        self.assertEqual(
            (summary.ending, summary.bytesReceived, summary.bytesSent),
            (ending, len(message), len(message)),
        )
        self.assertFalse(self.factory.tracker.connections)

    def test_closeNotify(self) -> None:
        """Data in the same segment as close_notify is echoed, then the connection is closed."""
        self.check(closeNotify=True, fin=False)

    def test_closeNotifyAndFIN(self) -> None:
        """Data in the same segment as close_notify and a FIN is echoed."""
        self.check(closeNotify=True, fin=True)

    def test_truncated(self) -> None:
        """Data before a FIN without close_notify is echoed and followed by close_notify."""
        self.check(closeNotify=False, fin=True)

    def test_clientReadsLate(self) -> None:
        """A client that reads late gets all data, and is not read from meanwhile."""
        for message in self.messages:
            self.connectEcho()
            self.client.link.pauseProducing()
            self.send(message, closeNotify=True, fin=True)
            # One segment can exceed the limit.
            self.assertLess(len(self.pair.server.queue), QUEUE_LIMIT + 2 * PIECE_SIZE)
            self.assertEqual(bool(self.pair.client.queue), message is LONG)
            self.client.link.resumeProducing()
            self.pair.pump()
            self.assertEchoed(message)

    def test_atOnce(self) -> None:
        """Every message is answered at once: small writes are not delayed."""
        self.connectEcho()
        for count in range(1, 4):
            self.send(b"ping")
            self.assertEqual(self.client.received, b"ping" * count)


class EchoTLS12Tests(EchoTests):
    version = SSL.TLS1_2_VERSION


class ByteByByteEchoTests(EchoTests):
    # Two records are enough; many would take seconds.
    messages = (b"", b"1", LONG[:1000], LONG[: READ_SIZE + 1])

    def cut(self, waiting: int) -> int:
        return 1


class ByteByByteEchoTLS12Tests(ByteByByteEchoTests):
    version = SSL.TLS1_2_VERSION


class RandomSegmentEchoTests(EchoTests):
    def setUp(self) -> None:
        self.random = Random(862)

    def cut(self, waiting: int) -> int:
        return self.random.randint(1, waiting)


class RandomSegmentEchoTLS12Tests(RandomSegmentEchoTests):
    version = SSL.TLS1_2_VERSION


class GreetingTests(TLSTestCase):
    def setUp(self) -> None:
        self.observer = RecordingObserver()
        self.connect(GreetingFactory(Clock(), self.observer))
        self.pair.pump()

    def test_lingering(self) -> None:
        """After greeting and close_notify, the client may send more until it closes."""
        self.send(CLIENT_GREETING)
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.send(LONG)
        self.assertEqual(self.client.events, ["closeNotify"])
        self.send(b"more", closeNotify=True)
        self.assertClosed()
        [summary] = self.observer.ended
        self.assertEqual(summary.ending, CloseReason.FINISHED)
        self.assertEqual(summary.bytesReceived, len(CLIENT_GREETING) + len(LONG) + len(b"more"))

    def test_allAtOnce(self) -> None:
        """A client that ends its output together with its greeting gets the reply."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            self.setUp()
            self.send(CLIENT_GREETING, closeNotify, fin)
            self.assertEqual(self.client.received, SERVER_GREETING)
            self.assertClosed()


class GreetingTLS12Tests(GreetingTests):
    version = SSL.TLS1_2_VERSION


class ManyRecordsTests(TLSTestCase):
    """Records of one byte, all in one segment."""

    def sendRecords(self, number: int) -> None:
        for _ in range(number):
            self.client._tls.send(b"x")
        self.send()

    def test_bounded(self) -> None:
        """One turn handles a bounded number of records, and nothing is received meanwhile."""
        protocol = self.serve(RecordingProtocol())
        self.sendRecords(2 * RECORDS_PER_TURN + 1)
        self.send(b"later", closeNotify=True, fin=True)
        for turns in (1, 2):
            self.assertEqual(len(protocol.received), turns * RECORDS_PER_TURN)
            self.assertNotIn("readLost", protocol.events)
            self.turn()
        self.assertEqual(protocol.received, b"x" * (2 * RECORDS_PER_TURN + 1) + b"later")
        self.assertEqual(protocol.events, ["made", "data", "readLost"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_receivedMeanwhile(self) -> None:
        """What a transport delivers although it is paused waits for its turn."""
        protocol = self.serve(RecordingProtocol())
        self.client._tls.send(b"later")
        later = self.client._tls.bio_read(READ_SIZE)
        self.server._hasMore = True
        self.server.dataReceived(later)
        self.assertEqual(protocol.received, b"")
        protocol.link.resumeProducing()
        self.turn()
        self.assertEqual(protocol.received, b"later")

    def test_paused(self) -> None:
        """A protocol that pauses is delivered nothing more until it resumes."""
        protocol = self.serve(RecordingProtocol())
        self.sendRecords(RECORDS_PER_TURN + 1)
        protocol.link.pauseProducing()
        self.turn()
        self.assertEqual(len(protocol.received), RECORDS_PER_TURN)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for _ in range(2):
            protocol.link.resumeProducing()
        self.turn()
        self.assertEqual(len(protocol.received), RECORDS_PER_TURN + 1)
        self.assertTrue(self.pair.server.reading)

    def test_lostBeforeTheRest(self) -> None:
        """When the connection is lost, nothing is scheduled for the records that are left."""

        class LosingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.connectionLost(Failure(ConnectionLost()))

        protocol = self.serve(LosingProtocol())
        self.sendRecords(RECORDS_PER_TURN + 1)
        self.assertEqual(protocol.events, ["made", "data", "lost"])
        self.assertEqual(len(protocol.received), RECORDS_PER_TURN)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostMeanwhile(self) -> None:
        """When the connection is lost while records are delivered, the others are not."""

        class LosingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.connectionLost(Failure(ConnectionLost()))

        protocol = self.serve(LosingProtocol())
        self.sendRecords(3)
        self.assertEqual(protocol.events, ["made", "data", "lost"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_halfClosed(self) -> None:
        """Records that have arrived with one that makes the protocol half-close are delivered."""

        class AnsweringProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.loseWriteConnection()

        protocol = self.serve(AnsweringProtocol())
        self.sendRecords(3)
        self.turn()
        self.assertEqual(protocol.received, b"xxx")
        self.assertEqual(self.client.events, ["closeNotify"])

    def test_noData(self) -> None:
        """Records without data, such as requests for new keys, are bounded too."""
        protocol = self.serve(RecordingProtocol())
        self.sendRecords(2 * RECORDS_PER_TURN)
        self.assertTrue(self.server._undecrypted)

        def readNothing(size: int) -> bytes:
            self.server._incoming.read()
            raise ssl.SSLWantReadError

        with mock.patch.object(self.server, "_tls") as tls:
            tls.read.side_effect = readNothing
            self.server._read()
        self.assertFalse(self.server._undecrypted)
        self.assertEqual(len(protocol.received), RECORDS_PER_TURN)
        self.turn()
        self.assertTrue(self.pair.server.reading)

    def test_endWhilePaused(self) -> None:
        """One that pauses at the last record is told of the end of input when it resumes."""
        protocol = self.serve(PausingProtocol())
        self.send(b"last", closeNotify=True)
        self.assertEqual(protocol.events, ["made", "data"])
        protocol.link.resumeProducing()
        self.turn()
        self.assertEqual(protocol.events, ["made", "data", "readLost"])

    def test_pausedAtTheEnd(self) -> None:
        """One that pauses at the last record is not read."""
        protocol = self.serve(PausingProtocol())
        self.sendRecords(RECORDS_PER_TURN + 1)
        protocol.link.resumeProducing()
        self.turn()
        self.assertEqual(len(protocol.received), RECORDS_PER_TURN + 1)
        self.assertFalse(self.pair.server.reading)

    def test_lost(self) -> None:
        """A connection that is lost meanwhile leaves nothing scheduled."""
        protocol = self.serve(RecordingProtocol())
        self.sendRecords(RECORDS_PER_TURN + 1)
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertEqual(protocol.events[-1], "lost")
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
            self.server._outgoing.write(bytes(QUEUE_LIMIT))
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


class ProducerAfterOutputTests(TLSTestCase):
    def test_stays(self) -> None:
        """A producer that is registered stays so after our close_notify."""
        protocol = self.serve(RecordingProtocol())
        producer = RecordingProducer()
        protocol.link.registerProducer(producer, True)
        protocol.link.loseWriteConnection()
        self.pair.pump()
        self.assertIs(self.pair.server._producer, producer)


class InMemoryTests(TLSTestCase):
    """What is promised in memory only."""

    def test_interface(self) -> None:
        """To its own transport, TLS provides IHalfCloseableProtocol."""
        self.serve(RecordingProtocol())
        verifyObject(IHalfCloseableProtocol, self.server)

    def test_failing(self) -> None:
        """An exception of the protocol propagates to the transport, which logs it and closes."""
        self.serve(FailingProtocol())
        self.assertRaises(ZeroDivisionError, self.send, closeNotify=True)

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

    def test_noMemory(self) -> None:
        """A connection for which no memory is left is reset."""
        for error in (ssl.SSLError(), MemoryError()):
            context = mock.Mock(options=ssl.Options(0))
            context.wrap_bio.side_effect = error
            protocol = RecordingProtocol()
            self.begin(context, SingleFactory(protocol), TLSClient(self.version))
            self.pair.pump()
            self.assertEqual(protocol.events, ["made", "lost"])
            self.assertTrue(protocol.reason and protocol.reason.value is error)
            self.assertEqual(self.client.events, ["lost"])


class SharedMemoryTests(TLSTestCase):
    """Connections of one factory use the same memory, one after the other."""

    def both(self, first: RecordingProtocol, second: RecordingProtocol) -> None:
        """Connect two clients to servers of one factory, and complete the first handshake."""
        self.connect(SingleFactory(first))
        self.pair.pump()
        self.server.factory.wrappedFactory = SingleFactory(second)
        self.otherClient = TLSClient(self.version)
        self.otherPair = StreamPair(
            self.otherClient, self.server.factory.buildProtocol(CLIENT_ADDRESS)
        )

    def test_writtenInEvent(self) -> None:
        """A protocol that receives may write to the other connection before its own."""
        target = RecordingProtocol()

        class CopyingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                target.link.write(data)
                self.link.write(data[::-1])
                target.link.write(data)

        self.both(CopyingProtocol(), target)
        self.otherPair.pump()
        for _ in range(2):
            self.send(b"abc")
            self.otherPair.pump()
        self.assertEqual(self.client.received, b"cbacba")
        self.assertEqual(self.otherClient.received, b"abc" * 4)

    def test_handshakeInEvent(self) -> None:
        """The handshake of the other connection may happen while a protocol receives."""
        test = self

        class WaitingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                test.otherPair.pump()
                self.link.write(data)

        other = RecordingProtocol()
        self.both(WaitingProtocol(), other)
        self.client._tls.send(b"ab")
        self.client._tls.send(b"cd")
        self.send()
        self.assertEqual(self.client.received, b"abcd")
        self.otherClient.send(b"other")
        self.otherPair.pump()
        self.assertEqual(other.received, b"other")

    def test_failure(self) -> None:
        """What a failed connection has received does not reach the other one."""
        other = RecordingProtocol()
        self.both(RecordingProtocol(), other)
        self.client.link.write(b"garbage" * 100)
        self.pair.pump()
        self.otherPair.pump()
        self.otherClient.send(b"other")
        self.otherPair.pump()
        self.assertEqual(other.received, b"other")

    def test_muchWritten(self) -> None:
        """However much is written at once, the memory of a factory stays small."""
        served = self.serve(RecordingProtocol())
        sizes: list[int] = []
        outgoing = self.server._outgoing

        def read() -> Any:
            sizes.append(outgoing.pending)
            return outgoing.read()

        self.server._outgoing = mock.Mock(read=read)
        data = bytes(5 * ENCRYPTED_SIZE)
        served.link.write(data)
        self.pair.pump()
        self.assertTrue(self.client.received == data)
        self.assertLess(max(sizes), ENCRYPTED_SIZE + READ_SIZE)


class CorruptTests(TLSTestCase):
    def test_dataBefore(self) -> None:
        """Data in front of a corrupt record is delivered; what is written then is dropped."""

        class EchoingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.link.write(data)

        served = self.serve(EchoingProtocol())
        self.client._tls.send(b"good")
        good = self.client._tls.bio_read(READ_SIZE)
        self.client._tls.send(b"corrupt")
        corrupt = bytearray(self.client._tls.bio_read(READ_SIZE))
        corrupt[-1] ^= 1
        self.client.link.write(good + corrupt)
        self.pair.pump()
        self.assertEqual(served.received, b"good")
        self.assertTrue(served.reason and served.reason.check(ssl.SSLError))
        self.assertEqual(self.client.events[-1], "lost")

    def test_noMemoryLater(self) -> None:
        """A connection for which no memory is left later is closed, without a traceback."""
        served = self.serve(RecordingProtocol())
        self.server._incoming = mock.Mock(wraps=self.server._incoming)
        self.server._incoming.write.side_effect = MemoryError
        self.send(b"data")
        self.assertTrue(served.reason and served.reason.check(MemoryError))


class EndOfInputTests(TLSTestCase):
    def test_once(self) -> None:
        """The end of input is reported once, after the data, for close_notify and FIN together."""
        served = self.serve(RecordingProtocol())
        self.send(b"all", closeNotify=True)
        self.send(fin=True)
        self.assertEqual(served.events, ["made", "data", "readLost"])
        self.assertEqual(served.received, b"all")

    def test_outputContinues(self) -> None:
        """After the end of input the protocol can still write, and all of it arrives."""
        for fin in (False, True):
            served = self.serve(RecordingProtocol())
            self.send(closeNotify=True, fin=fin)
            served.link.write(LONG)
            self.pair.pump()
            served.link.write(b"end")
            served.link.loseConnection()
            self.pair.pump()
            self.assertTrue(self.client.received == LONG + b"end")
            self.assertClosed()
            self.assertEqual(served.events, ["made", "readLost", "lost"])

    def test_notHalfCloseable(self) -> None:
        """A protocol without half-close support is closed after its output was delivered."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            self.connect(SingleFactory(Echo()))
            self.pair.pump()
            self.client.link.pauseProducing()
            self.send(LONG, closeNotify, fin)
            self.client.link.resumeProducing()
            self.pair.pump()
            self.assertTrue(self.client.received == LONG)
            self.assertClosed()

    def test_reset(self) -> None:
        """A reset ends the connection without an end of input, and stops the producer."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.abortConnection()
        self.pair.pump()
        served.link.loseWriteConnection()
        self.assertEqual(served.events, ["made", "lost"])
        self.assertEqual(producer.events, ["stop"])
        self.assertTrue(served.reason and served.reason.check(ConnectionLost))

    def test_garbage(self) -> None:
        """Invalid TLS data after the handshake ends the connection with OpenSSL's error."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.write(b"garbage")
        self.pair.pump()
        self.assertEqual(served.events, ["made", "lost"])
        self.assertTrue(served.reason and served.reason.check(ssl.SSLError))
        self.assertEqual(producer.events, ["stop"])
        self.assertEqual(self.client.events, ["alert", "fin", "lost"])


class EndOfInputTLS12Tests(EndOfInputTests):
    version = SSL.TLS1_2_VERSION


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


class HandshakeTests(TLSTestCase):
    #: Round trips before the client may send data.
    roundTrips = 1

    def served(self, only: ssl.TLSVersion | None = None) -> RecordingProtocol:
        """Connect to a protocol without starting the handshake."""
        protocol = RecordingProtocol()
        self.connect(SingleFactory(protocol), only)
        return protocol

    def assertFailed(self, served: RecordingProtocol, error: type[Exception]) -> None:
        self.assertEqual(served.events, ["made", "lost"])
        self.assertTrue(served.reason and served.reason.check(error), served.reason)

    def test_completed(self) -> None:
        """A protocol that provides IHandshakeListener is notified when the handshake completes."""
        observer = RecordingObserver()
        self.connect(EchoFactory(Clock(), observer))
        self.assertEqual(observer.opened, [])
        self.pair.pump()
        self.assertEqual(observer.opened, [self.pair.client.getHost()])

    def test_earlyData(self) -> None:
        """Data and its end, sent as early as the handshake permits, are echoed."""
        self.connect(EchoFactory(Clock()))
        for _ in range(self.roundTrips):
            self.pair.step()
        self.send(LONG, closeNotify=True, fin=True)
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_noCommonVersion(self) -> None:
        """Without a common version the client gets an alert and the protocol OpenSSL's error."""
        served = self.served(only=self.otherVersion)
        self.pair.pump()
        self.assertFailed(served, ssl.SSLError)
        self.assertEqual(self.client.events, ["alert", "fin", "lost"])

    def test_garbage(self) -> None:
        """A client that does not use TLS is disconnected, and the protocol gets the error."""
        served = self.served()
        self.pair.client.queue[:] = b"GET / HTTP/1.0\r\n\r\n"
        self.pair.pump()
        self.assertFailed(served, ssl.SSLError)
        self.assertIsNotNone(self.pair.client.closed)

    def test_fin(self) -> None:
        """A FIN before or during the handshake ends the connection."""
        for sent in (0, 1, 100, None):
            served = self.served()
            del self.pair.client.queue[sent:]
            self.client.link.pauseProducing()
            self.client.link.loseWriteConnection()
            self.pair.pump()
            self.client.link.resumeProducing()
            self.pair.pump()
            self.assertFailed(served, ConnectionLost)

    def test_reset(self) -> None:
        """A reset during the handshake ends the connection."""
        served = self.served()
        self.pair.step()
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertFailed(served, ConnectionLost)

    def test_reportedAsRefused(self) -> None:
        """A client that disconnects during the handshake is reported as refused, not as opened."""
        observer = RecordingObserver()
        self.connect(EchoFactory(Clock(), observer))
        self.client.link.pauseProducing()
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(
            observer.refused, [(self.pair.client.getHost(), Refusal.NO_HANDSHAKE.value)]
        )
        self.assertEqual((observer.opened, observer.ended), ([], []))

    def test_paused(self) -> None:
        """One paused before the handshake completes it, and is delivered nothing until resumed."""
        served = self.served()
        served.link.pauseProducing()
        for _ in range(self.roundTrips):
            self.pair.step()
        self.send(b"early", closeNotify=True)
        self.assertEqual(served.events, ["made"])
        served.link.resumeProducing()
        self.turn()
        self.assertEqual((served.received, served.events[-1]), (b"early", "readLost"))

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


class HandshakeTLS12Tests(HandshakeTests):
    roundTrips = 2
    version = SSL.TLS1_2_VERSION
    otherVersion = ssl.TLSVersion.TLSv1_3


class CertificateTests(TLSTestCase):
    """Certificates of clients."""

    def serveWith(self, pem: bytes) -> RecordingProtocol:
        """Connect a client with a certificate to a server that requires one."""
        context = serverContext()
        context.load_verify_locations(cadata=authority("authority").certificatePEM.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        protocol = RecordingProtocol()
        self.begin(context, SingleFactory(protocol), TLSClient(self.version, pem))
        self.pair.pump()
        return protocol

    def test_accepted(self) -> None:
        """The protocol gets the certificate of its peer."""
        served = self.serveWith(issued("client").pem)
        subject = served.link.getPeerCertificate()["subject"]
        self.assertEqual(subject, ((("commonName", "client"),),))

    def test_refused(self) -> None:
        """A client with an unknown certificate, or none, gets an alert, also with early data."""
        for pem in (b"", issued("client", issuer="other").pem):
            served = self.serveWith(pem)
            self.assertEqual(served.events, ["made", "lost"])
            self.assertTrue(served.reason and served.reason.check(ssl.SSLError), served.reason)
            self.assertEqual(self.client.events, ["alert", "fin", "lost"])


class CertificateTLS12Tests(CertificateTests):
    version = SSL.TLS1_2_VERSION


class ClientTests(TLSTestCase):
    """This package has the role of the client."""

    def connectTo(self, hostname: str, pem: bytes | None = None) -> RecordingProtocol:
        peer = TLSClient(self.version, serverPEM() if pem is None else pem, isServer=True)
        protocol = RecordingProtocol()
        self.begin(clientContext(), SingleFactory(protocol), peer, hostname)
        self.pair.pump()
        return protocol

    def test_connected(self) -> None:
        """A client requests its server by name, exchanges data, and closes like a server."""
        protocol = self.connectTo("localhost")
        self.assertEqual(self.client._tls.get_servername(), b"localhost")
        self.assertEqual(
            protocol.link.getPeerCertificate()["subjectAltName"], (("DNS", "localhost"),)
        )
        protocol.link.write(LONG)
        self.send(b"reply")
        self.assertTrue(self.client.received == LONG)
        self.assertEqual(protocol.received, b"reply")
        protocol.link.loseConnection()
        self.pair.pump()
        self.assertClosed()

    def test_otherName(self) -> None:
        """A certificate for another name, or of an unknown authority, ends the connection."""
        for hostname, pem in (("example.test", None), ("localhost", issued("x", "localhost").pem)):
            protocol = self.connectTo(hostname, pem)
            self.assertEqual(protocol.events, ["made", "lost"])
            assert protocol.reason is not None
            self.assertTrue(protocol.reason.check(ssl.SSLCertVerificationError))
            self.assertEqual(self.client.events, ["alert", "fin", "lost"])

    def test_renegotiation(self) -> None:
        """A renegotiation is refused, and data continues to be sent."""
        self.version = SSL.TLS1_2_VERSION
        protocol = self.connectTo("localhost")
        self.client._tls.renegotiate()
        with contextlib.suppress(SSL.Error):
            self.client._tls.do_handshake()
        self.client._flush()
        self.pair.pump()
        protocol.link.write(b"on")
        self.pair.pump()
        self.assertIsNone(protocol.reason)


class ClientTLS12Tests(ClientTests):
    version = SSL.TLS1_2_VERSION


class FactoryTests(SynchronousTestCase):
    def build(self, protocol: Protocol | None) -> Any:
        tls = TLSStreamFactory(serverContext, SingleFactory(protocol), Clock())
        return tls.buildProtocol(CLIENT_ADDRESS)

    def test_wraps(self) -> None:
        """The factory wraps the protocol of the other factory."""
        stream = self.build(protocol := RecordingProtocol())
        self.assertIsInstance(stream, TLSStream)
        self.assertIs(stream.wrappedProtocol, protocol)

    def test_startsAndStops(self) -> None:
        """The other factory is started and stopped with it."""
        wrapped: Any = mock.Mock()
        factory = TLSStreamFactory(serverContext, wrapped, Clock())
        factory.doStart()
        factory.doStop()
        self.assertEqual([call[0] for call in wrapped.method_calls], ["doStart", "doStop"])

    def test_none(self) -> None:
        """If the other factory returns no protocol, the connection is refused."""
        self.assertIsNone(self.build(None))
