"""TLS: handshakes, received data and its end, records, and certificates."""

from __future__ import annotations

import contextlib
import ssl
from random import Random
from unittest import mock

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING, GreetingFactory
from echoproto.protocols.observer import CloseReason
from echoproto.testing import RecordingObserver, RecordingProtocol
from echoproto.testing.streams import PIECE_SIZE, QUEUE_LIMIT
from echoproto.transports.tlsengine import READ_SIZE, RECORDS_PER_TURN
from tests.certificates import authority, clientContext, issued, serverContext, serverPEM
from tests.transports.tlscase import (
    LONG,
    FailingProtocol,
    RecordingProducer,
    SingleFactory,
    TLSClient,
    TLSTestCase,
)


class PausingProtocol(RecordingProtocol):
    """Pauses whenever it receives data."""

    def dataReceived(self, data: bytes) -> None:
        """Record it, and pause."""
        super().dataReceived(data)
        self.link.pauseProducing()


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
        self.assertTrue(self.server._engine.undecrypted)

        def readNothing(size: int) -> bytes:
            self.server._engine._incoming.read()
            raise ssl.SSLWantReadError

        with mock.patch.object(self.server._engine, "_tls") as tls:
            tls.read.side_effect = readNothing
            self.turn()
        self.assertFalse(self.server._engine.undecrypted)
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

    def test_noMemory(self) -> None:
        """A connection for which no memory is left is reset; received data is dropped."""
        for error in (ssl.SSLError(), MemoryError()):
            context = mock.Mock(options=ssl.Options(0))
            context.wrap_bio.side_effect = error
            protocol = RecordingProtocol()
            self.begin(context, SingleFactory(protocol), TLSClient(self.version))
            self.server.dataReceived(b"with the PROXY header")
            self.pair.pump()
            self.assertEqual(protocol.events, ["made", "lost"])
            self.assertTrue(protocol.reason and protocol.reason.value is error)
            self.assertEqual(self.client.events, ["lost"])


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
        self.server._engine._incoming = mock.Mock(wraps=self.server._engine._incoming)
        self.server._engine._incoming.write.side_effect = MemoryError
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

    def test_manyRecords(self) -> None:
        """A handshake in many records takes several turns."""
        served = self.served()
        hello = bytes(self.pair.client.queue)
        records = [hello[:3] + b"\0\1" + bytes([byte]) for byte in hello[5:]]
        self.pair.client.queue[:] = b"".join(records)
        self.pair.pump()
        for _ in range(len(records) // RECORDS_PER_TURN):
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
            self.turn()
        self.send(b"received")
        self.assertEqual(served.received, b"received")
        self.assertEqual(self.clock.getDelayedCalls(), [])

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
