from __future__ import annotations

from random import Random
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from echoproto.protocols.admission import Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import CLIENT_GREETING, SERVER_GREETING, GreetingFactory
from echoproto.protocols.observer import CloseReason
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS, PIECE_SIZE, QUEUE_LIMIT
from echoproto.transports.tls import TLSStream, TLSStreamFactory
from tests.certificates import authority, serverPEM

#: More than the queues hold, so that both sides are paused.
LONG = Random(8446).randbytes(400_000)

#: The most that is in one record (RFC 8446 section 5.1).
RECORD_SIZE = 2**14


@implementer(IHalfCloseableProtocol)
class TLSClient(Protocol):
    """
    A client that speaks TLS by hand: what it says in one breath leaves in one piece.

    :param version: of TLS, the only one that it speaks.
    :ivar received: what the server said.
    :ivar events: what came besides: ``closeNotify``, ``alert``, ``fin``, ``lost``.
    """

    def __init__(self, version: int) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        self.received = b""
        self.events: list[str] = []
        self._tls = SSL.Connection(context, None)
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

    def say(self, data: bytes = b"", closeNotify: bool = False, fin: bool = False) -> None:
        """Send ``data`` and what ends it, coalesced."""
        for start in range(0, len(data), RECORD_SIZE):
            self._tls.send(data[start : start + RECORD_SIZE])
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


class Building(Factory):
    """Builds the one protocol that it was given, or ``None``."""

    noisy = False

    def __init__(self, protocol: Protocol | None) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        return self._protocol


class RecordingProducer:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class HastyProtocol(RecordingProtocol):
    """
    Ends its output as soon as it is connected, before the handshake.

    :param text: what it says first.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(self._text)
        self.link.loseWriteConnection()


@implementer(IHandshakeListener)
class PunctualProtocol(RecordingProtocol):
    """Speaks before the handshake, and ends its output with the handshake."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(SERVER_GREETING)

    def handshakeCompleted(self) -> None:
        self.link.loseWriteConnection()


class HastilyClosingProtocol(RecordingProtocol):
    """Says something and closes as soon as it is connected, before the handshake."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.link.write(SERVER_GREETING)
        self.link.loseConnection()


class FailingProtocol(RecordingProtocol):
    """Fails at the end of input."""

    def readConnectionLost(self) -> None:
        raise ZeroDivisionError


class TLSTestCase(SynchronousTestCase):
    """A connection in memory: TLS on the server's end, and a client under the test's control."""

    version = SSL.TLS1_3_VERSION
    otherVersion = SSL.TLS1_2_VERSION

    def connect(self, factory: Any, only: int | None = None, between: int = 0) -> None:
        """
        :param factory: what is served.
        :param only: the version of TLS that the server speaks; all where not given.
        :param between: how many certificates it shows besides its own.
        """
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        for _ in range(between):
            options.getContext().add_extra_chain_cert(authority("authority").certificate)
        if only is not None:
            options.getContext().set_min_proto_version(only)
            options.getContext().set_max_proto_version(only)
        tls = TLSStreamFactory(options, False, factory, Clock())
        self.server = tls.buildProtocol(CLIENT_ADDRESS)
        self.client = TLSClient(self.version)
        self.pair = StreamPair(self.client, self.server)

    def serve(self, protocol: RecordingProtocol) -> RecordingProtocol:
        """Connect to ``protocol`` and finish the handshake."""
        self.connect(Building(protocol))
        self.pair.pump()
        return protocol

    def say(self, data: bytes = b"", closeNotify: bool = False, fin: bool = False) -> None:
        self.client.say(data, closeNotify, fin)
        self.pair.pump()

    def assertClosed(self) -> None:
        """The client has got our close_notify and our FIN, and the server closed in good order."""
        self.assertEqual(self.client.events, ["closeNotify", "fin", "lost"])
        self.assertIsInstance(self.pair.server.closed, ConnectionDone)


class LongFlightTests(TLSTestCase):
    def test_handshake(self) -> None:
        """A handshake is sent whole, though it is more than OpenSSL gives at once."""
        self.connect(EchoFactory(Clock()), between=100)
        self.pair.pump()
        self.say(b"hello", closeNotify=True)
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
        """Each message comes back whole when its end is told in this way, in the same breath."""
        for message in self.messages:
            self.connectEcho()
            self.say(message, closeNotify, fin)
            self.assertEchoed(message)

    def assertEchoed(self, message: bytes) -> None:
        self.assertTrue(self.client.received == message, f"{len(message)} bytes did not come back")
        self.assertClosed()
        [summary] = self.observer.ended
        self.assertEqual(
            (summary.ending, summary.bytesReceived, summary.bytesSent),
            (CloseReason.FINISHED, len(message), len(message)),
        )
        self.assertFalse(self.factory.tracker.connections)

    def test_closeNotify(self) -> None:
        """What comes together with close_notify is echoed, then the connection is closed."""
        self.check(closeNotify=True, fin=False)

    def test_closeNotifyAndFIN(self) -> None:
        """What comes together with close_notify and a FIN is echoed."""
        self.check(closeNotify=True, fin=True)

    def test_truncated(self) -> None:
        """What comes before a FIN without close_notify is echoed, and ended with close_notify."""
        self.check(closeNotify=False, fin=True)

    def test_clientReadsLate(self) -> None:
        """A client that reads only when all is said gets all, and is not read from meanwhile."""
        for message in self.messages:
            self.connectEcho()
            self.client.link.pauseProducing()
            self.say(message, closeNotify=True, fin=True)
            # Above the limit by what one piece brings.
            self.assertLess(len(self.pair.server.queue), QUEUE_LIMIT + 2 * PIECE_SIZE)
            self.assertEqual(bool(self.pair.client.queue), message is LONG)
            self.client.link.resumeProducing()
            self.pair.pump()
            self.assertEchoed(message)

    def test_atOnce(self) -> None:
        """Each message is answered at once, as small writes are not held back."""
        self.connectEcho()
        for count in range(1, 4):
            self.say(b"ping")
            self.assertEqual(self.client.received, b"ping" * count)


class EchoTLS12Tests(EchoTests):
    version = SSL.TLS1_2_VERSION


class ByteByByteEchoTests(EchoTests):
    # Two records are as good as many, which would take seconds.
    messages = (b"", b"1", LONG[:1000], LONG[: RECORD_SIZE + 1])

    def cut(self, waiting: int) -> int:
        return 1


class ByteByByteEchoTLS12Tests(ByteByByteEchoTests):
    version = SSL.TLS1_2_VERSION


class RandomlyCutEchoTests(EchoTests):
    def setUp(self) -> None:
        self.random = Random(862)

    def cut(self, waiting: int) -> int:
        return self.random.randint(1, waiting)


class RandomlyCutEchoTLS12Tests(RandomlyCutEchoTests):
    version = SSL.TLS1_2_VERSION


class GreetingTests(TLSTestCase):
    def setUp(self) -> None:
        self.observer = RecordingObserver()
        self.connect(GreetingFactory(Clock(), self.observer))
        self.pair.pump()

    def test_lingering(self) -> None:
        """
        The client gets the greeting and close_notify, may go on sending, and the connection is
        closed at its own end.
        """
        self.say(CLIENT_GREETING)
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.say(LONG)
        self.assertEqual(self.client.events, ["closeNotify"])
        self.say(b"more", closeNotify=True)
        self.assertClosed()
        [summary] = self.observer.ended
        self.assertEqual(summary.ending, CloseReason.FINISHED)
        self.assertEqual(summary.bytesReceived, len(CLIENT_GREETING) + len(LONG) + len(b"more"))

    def test_allAtOnce(self) -> None:
        """A client that ends its output with its greeting gets ours."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            self.setUp()
            self.say(CLIENT_GREETING, closeNotify, fin)
            self.assertEqual(self.client.received, SERVER_GREETING)
            self.assertClosed()


class GreetingTLS12Tests(GreetingTests):
    version = SSL.TLS1_2_VERSION


class EndOfInputTests(TLSTestCase):
    def test_interface(self) -> None:
        """Towards the transport beneath, TLS is half-closeable."""
        self.serve(RecordingProtocol())
        verifyObject(IHalfCloseableProtocol, self.server)

    def test_toldOnce(self) -> None:
        """The protocol is told once, after the data, of the close_notify and the FIN."""
        served = self.serve(RecordingProtocol())
        self.say(b"all", closeNotify=True)
        self.say(fin=True)
        self.assertEqual(served.events, ["made", "data", "readLost"])
        self.assertEqual(served.received, b"all")

    def test_outputGoesOn(self) -> None:
        """After the peer's end the protocol still writes, and all of it arrives."""
        for fin in (False, True):
            served = self.serve(RecordingProtocol())
            self.say(closeNotify=True, fin=fin)
            served.link.write(LONG)
            self.pair.pump()
            served.link.write(b"end")
            served.link.loseConnection()
            self.pair.pump()
            self.assertTrue(self.client.received == LONG + b"end")
            self.assertClosed()
            self.assertEqual(served.events, ["made", "readLost", "lost"])

    def test_notHalfCloseable(self) -> None:
        """A protocol that is not half-closeable is closed with all that it wrote delivered."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            self.connect(Building(Echo()))
            self.pair.pump()
            self.client.link.pauseProducing()
            self.say(LONG, closeNotify, fin)
            self.client.link.resumeProducing()
            self.pair.pump()
            self.assertTrue(self.client.received == LONG)
            self.assertClosed()

    def test_failing(self) -> None:
        """The protocol's exception reaches the transport beneath, which logs it and closes."""
        self.serve(FailingProtocol())
        self.assertRaises(ZeroDivisionError, self.say, closeNotify=True)

    def test_reset(self) -> None:
        """A reset is the end of the connection, not of the input, and nothing can be asked then."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.abortConnection()
        self.pair.pump()
        served.link.loseWriteConnection()
        self.assertEqual(served.events, ["made", "lost"])
        self.assertEqual(producer.events, ["stop"])
        self.assertTrue(served.reason and served.reason.check(ConnectionLost))

    def test_garbage(self) -> None:
        """What is no TLS, after the handshake, ends the connection with OpenSSL's error."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        self.client.link.pauseProducing()
        served.link.write(LONG)
        self.client.link.write(b"garbage")
        self.pair.pump()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(served.events, ["made", "lost"])
        self.assertTrue(served.reason and served.reason.check(SSL.Error))
        self.assertEqual(producer.events, ["pause", "stop"])
        self.assertTrue(self.client.received == LONG)


class EndOfInputTLS12Tests(EndOfInputTests):
    version = SSL.TLS1_2_VERSION


class EndOfOutputTests(TLSTestCase):
    def test_inputGoesOn(self) -> None:
        """After our end the peer's data is received, and its end closes the connection."""
        served = self.serve(RecordingProtocol())
        served.link.write(LONG)
        served.link.loseWriteConnection()
        self.pair.pump()
        self.assertTrue(self.client.received == LONG)
        self.assertEqual(self.client.events, ["closeNotify"])
        self.assertEqual(served.events, ["made", "writeLost"])
        self.say(b"still")
        self.say(b" here", closeNotify=True)
        self.assertEqual(served.received, b"still here")
        self.assertEqual(served.events, ["made", "writeLost", "data", "readLost", "lost"])
        self.assertClosed()

    def test_inputIsUnderWay(self) -> None:
        """What the peer had sent before it saw our end is received."""
        served = self.serve(RecordingProtocol())
        self.client.say(LONG, closeNotify=True)
        served.link.loseWriteConnection()
        self.pair.pump()
        self.assertTrue(served.received == LONG)
        self.assertClosed()

    def test_once(self) -> None:
        """The second time nothing happens, and nothing more is sent."""
        served = self.serve(RecordingProtocol())
        for _ in range(2):
            served.link.loseWriteConnection()
            served.link.write(b"too late")
        self.pair.pump()
        self.assertEqual(served.events, ["made", "writeLost"])
        self.assertEqual((self.client.received, self.client.events), (b"", ["closeNotify"]))

    def test_afterInput(self) -> None:
        """Our end after the peer's closes the connection."""
        for closeNotify, fin in ((True, False), (True, True), (False, True)):
            served = self.serve(RecordingProtocol())
            self.say(closeNotify=closeNotify, fin=fin)
            served.link.write(b"bye")
            served.link.loseWriteConnection()
            self.pair.pump()
            self.assertEqual(self.client.received, b"bye")
            self.assertEqual(served.events, ["made", "readLost", "writeLost", "lost"])
            self.assertClosed()

    def test_beforeHandshake(self) -> None:
        """Asked for before the handshake, it comes after it, and after what was written."""
        for text in (b"", SERVER_GREETING):
            served = self.serve(HastyProtocol(text))
            self.assertEqual(self.client.received, text)
            self.assertEqual(self.client.events, ["closeNotify"])
            self.say(b"thanks", closeNotify=True)
            self.assertEqual(served.events, ["made", "writeLost", "data", "readLost", "lost"])
            self.assertClosed()

    def test_atHandshake(self) -> None:
        """Asked for when the handshake is done, it comes after what was written before that."""
        self.serve(PunctualProtocol())
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(self.client.events, ["closeNotify"])

    def test_notHalfCloseable(self) -> None:
        """A protocol that is not half-closeable may end its output, too."""
        self.connect(Building(Echo()))
        self.pair.pump()
        self.server.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.client.events, ["closeNotify"])
        self.say(b"unanswered", closeNotify=True)
        self.assertEqual(self.client.received, b"")
        self.assertClosed()

    def test_thenClosed(self) -> None:
        """Closing afterwards waits for the peer no longer."""
        served = self.serve(RecordingProtocol())
        served.link.loseWriteConnection()
        served.link.loseConnection()
        self.pair.pump()
        self.assertClosed()


class EndOfOutputTLS12Tests(EndOfOutputTests):
    version = SSL.TLS1_2_VERSION


class ClosingTests(TLSTestCase):
    def test_flushed(self) -> None:
        """All that was written arrives, then close_notify, then our FIN."""
        served = self.serve(RecordingProtocol())
        served.link.writeSequence([LONG, b"end"])
        served.link.loseConnection()
        served.link.write(b"too late")
        self.pair.pump()
        self.assertTrue(self.client.received == LONG + b"end")
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()

    def test_asAProducer(self) -> None:
        """When what it feeds is gone, the transport closes in the same way."""
        served = self.serve(RecordingProtocol())
        served.link.write(b"end")
        served.link.stopProducing()
        self.pair.pump()
        self.assertEqual(self.client.received, b"end")
        self.assertClosed()

    def test_pausedProducer(self) -> None:
        """A push producer, though paused, is stopped and does not keep the connection open."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(producer := RecordingProducer(), True)
        served.link.write(LONG)
        served.link.loseConnection()
        self.pair.pump()
        self.assertEqual(producer.events, ["pause", "stop"])
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_ownProducer(self) -> None:
        """A transport that is registered as its own producer closes like any other."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(served.link, True)
        served.link.write(LONG)
        served.link.loseConnection()
        self.pair.pump()
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_pullProducer(self) -> None:
        """A pull producer is waited for; what comes meanwhile is not received, nor is its end."""
        served = self.serve(RecordingProtocol())
        served.link.registerProducer(RecordingProducer(), False)
        served.link.loseConnection()
        self.say(b"unheard", closeNotify=True, fin=True)
        served.link.loseWriteConnection()
        served.link.write(b"the last")
        self.pair.pump()
        self.assertEqual((served.events, self.client.events), (["made"], []))
        served.link.unregisterProducer()
        self.pair.pump()
        self.assertEqual(self.client.received, b"the last")
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()

    def test_beforeHandshake(self) -> None:
        """Before the handshake a connection on which nothing was written is aborted."""
        self.connect(Building(served := RecordingProtocol()))
        served.link.loseConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertEqual(served.events, ["made", "lost"])

    def test_writtenBeforeHandshake(self) -> None:
        """What was written before the handshake arrives before the connection is closed."""
        served = self.serve(HastilyClosingProtocol())
        self.assertEqual(self.client.received, SERVER_GREETING)
        self.assertEqual(served.events, ["made", "lost"])
        self.assertClosed()

    def test_abort(self) -> None:
        """An abort cuts the connection, whatever waits to be sent."""
        served = self.serve(RecordingProtocol())
        served.link.write(LONG)
        served.link.abortConnection()
        self.pair.pump()
        self.assertIsInstance(self.pair.server.closed, ConnectionAborted)
        self.assertTrue(served.reason and served.reason.check(ConnectionAborted))
        self.assertEqual((self.client.received, self.client.events), (b"", ["lost"]))

    def test_over(self) -> None:
        """Once the connection is over, nothing that is asked of the transport does harm."""
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
    #: Until the client may speak.
    roundTrips = 1

    def served(self, only: int | None = None) -> RecordingProtocol:
        """A protocol whose handshake has not begun."""
        protocol = RecordingProtocol()
        self.connect(Building(protocol), only)
        return protocol

    def assertFailed(self, served: RecordingProtocol, why: type[Exception]) -> None:
        self.assertEqual(served.events, ["made", "lost"])
        self.assertTrue(served.reason and served.reason.check(why), served.reason)

    def test_completed(self) -> None:
        """A protocol that listens for the end of the handshake is told."""
        observer = RecordingObserver()
        self.connect(EchoFactory(Clock(), observer))
        self.assertEqual(observer.opened, [])
        self.pair.pump()
        self.assertEqual(observer.opened, [CLIENT_ADDRESS])

    def test_dataWithIt(self) -> None:
        """What the client says, and ends, as soon as the handshake lets it is echoed."""
        self.connect(EchoFactory(Clock()))
        for _ in range(self.roundTrips):
            self.pair.step()
        self.say(LONG, closeNotify=True, fin=True)
        self.assertTrue(self.client.received == LONG)
        self.assertClosed()

    def test_noCommonVersion(self) -> None:
        """A client with no version in common with us gets an alert; the protocol, the error."""
        served = self.served(only=self.otherVersion)
        self.pair.pump()
        self.assertFailed(served, SSL.Error)
        self.assertEqual(self.client.events, ["alert", "fin", "lost"])

    def test_garbage(self) -> None:
        """A client that does not speak TLS is closed; the protocol gets the error."""
        served = self.served()
        self.pair.client.queue[:] = b"GET / HTTP/1.0\r\n\r\n"
        self.pair.pump()
        self.assertFailed(served, SSL.Error)
        self.assertIsNotNone(self.pair.client.closed)

    def test_fin(self) -> None:
        """A FIN before, or in the middle of, the handshake is the end of the connection."""
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
        """A reset in the middle of the handshake is the end of the connection."""
        served = self.served()
        self.pair.step()
        self.client.link.abortConnection()
        self.pair.pump()
        self.assertFailed(served, ConnectionLost)

    def test_refusalIsTold(self) -> None:
        """A service whose client goes away in the handshake counts it as refused, not as served."""
        observer = RecordingObserver()
        self.connect(EchoFactory(Clock(), observer))
        self.client.link.pauseProducing()
        self.client.link.loseWriteConnection()
        self.pair.pump()
        self.client.link.resumeProducing()
        self.pair.pump()
        self.assertEqual(observer.refused, [(CLIENT_ADDRESS, Refusal.NO_HANDSHAKE.value)])
        self.assertEqual((observer.opened, observer.ended), ([], []))


class HandshakeTLS12Tests(HandshakeTests):
    roundTrips = 2
    version = SSL.TLS1_2_VERSION
    otherVersion = SSL.TLS1_3_VERSION


class FactoryTests(SynchronousTestCase):
    def build(self, protocol: Protocol | None) -> Any:
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        tls = TLSStreamFactory(options, False, Building(protocol), Clock())
        return tls.buildProtocol(CLIENT_ADDRESS)

    def test_wraps(self) -> None:
        """The factory wraps what the other has built."""
        stream = self.build(protocol := RecordingProtocol())
        self.assertIsInstance(stream, TLSStream)
        self.assertIs(stream.wrappedProtocol, protocol)

    def test_none(self) -> None:
        """Where the other factory refuses a connection, it is refused."""
        self.assertIsNone(self.build(None))
