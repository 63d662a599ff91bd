from __future__ import annotations

from errno import ENETUNREACH
from os import strerror
from typing import Any
from unittest import mock

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from echoproto.errors import ConnectionGone, DatagramTooLong
from echoproto.protocols.echo import EchoDatagrams, EchoFactory
from echoproto.targets.interfaces import IEars, IRoad, ITarget
from echoproto.targets.stream import StreamTarget
from echoproto.targets.udp import DatagramTarget
from echoproto.testing import DatagramWire, MemoryTransport, endpointTo
from tests.certificates import serverPEM

MS = 1_000_000


@implementer(IEars)
class Ears:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.reasons: list[str] = []

    def heard(self, reply: bytes) -> None:
        self.replies.append(reply)

    def gone(self, reason: str) -> None:
        self.reasons.append(reason)


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.ears = Ears()
        self.factory = EchoFactory(self.clock)
        self.endpoint, self.pairs = endpointTo(self.factory)
        self.addCleanup(self.end)

    def end(self) -> None:
        for each in self.pairs:
            each.client.abortConnection()
            each.pump()

    def now(self) -> int:
        return round(self.clock.seconds() * 1e9)

    def target(self, size: int | None = 4, endpoint: Any = None) -> StreamTarget:
        reached = self.endpoint if endpoint is None else endpoint
        return StreamTarget("tcp://lab1:7", reached, size, self.now, "192.0.2.1")

    def test_pieces(self) -> None:
        """Replies are told one by one, however the bytes come."""
        road: Any = self.successResultOf(self.target().open(self.ears))
        verifyObject(ITarget, self.target())
        verifyObject(IRoad, road)
        for cut in (None, lambda size: 1, lambda size: min(size, 7)):
            self.pairs[0].cut = cut
            for probe in (b"one.", b"two.", b"3..."):
                road.send(probe)
            self.pairs[0].pump()
            self.assertEqual(self.ears.replies, [b"one.", b"two.", b"3..."])
            self.ears.replies.clear()
        self.assertTrue(self.pairs[0].client.getTcpNoDelay())

    def test_closed(self) -> None:
        """After its closing it tells nothing more, and the connection is cut."""
        road: Any = self.successResultOf(self.target().open(self.ears))
        self.ears.heard = lambda reply: road.close()  # type: ignore[method-assign]
        road.send(b"one.two.")
        self.pairs[0].pump()
        self.assertEqual(self.ears.reasons, [])
        self.assertIsNotNone(self.pairs[0].client.closed)

    def test_stream(self) -> None:
        """Without a size what comes is told as it comes; our FIN is answered by the server's."""
        road: Any = self.successResultOf(self.target(size=None).open(self.ears))
        road.send(b"any number")
        self.assertTrue(road.finish())
        self.pairs[0].pump()
        self.assertEqual(self.ears.replies, [b"any number"])
        self.assertEqual(self.ears.reasons, ["the server closed the connection"])

    def test_paused(self) -> None:
        """Nothing is told while it is paused; who feeds it is told when nothing is taken any more, and when to go on."""
        fed: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                fed.append("pause")

            def resumeProducing(self) -> None:
                fed.append("resume")

            def stopProducing(self) -> None:
                """The end."""

        road: Any = self.successResultOf(self.target().open(self.ears))
        road.feed(Producer())
        road.pause()
        for _ in range(4):
            road.send(bytes(70_000))
            self.pairs[0].pump()
        self.assertEqual((self.ears.replies, fed[-1]), ([], "pause"))
        road.resume()
        self.pairs[0].pump()
        self.assertEqual((len(self.ears.replies), fed[-1]), (70_000, "resume"))

    def test_gone(self) -> None:
        """An end that we did not want is told: the server's, or a reset."""
        for end, says in (
            ("loseConnection", "the server closed the connection"),
            ("abortConnection", "connection lost: Connection to the other side was lost"),
        ):
            self.successResultOf(self.target().open(self.ears))
            getattr(self.pairs[-1].server, end)()
            self.pairs[-1].pump()
            self.assertIn(says, self.ears.reasons.pop())

    def test_refused(self) -> None:
        """A connection that cannot be made fails as its endpoint does."""
        self.successResultOf(self.factory.drain())
        self.failureResultOf(self.target().open(self.ears), ConnectionRefusedError)

    def test_unix(self) -> None:
        """On a UNIX socket no option of TCP is set."""
        with mock.patch.object(MemoryTransport, "getPeer", return_value=UNIXAddress(b"/run/x")):
            self.successResultOf(self.target().open(self.ears))
        self.assertFalse(self.pairs[0].client.getTcpNoDelay())

    def test_cancelled(self) -> None:
        """Opening can be cancelled; what is connected after that is cut."""
        connecting: Deferred[Any] = Deferred()
        asked: list[Any] = []

        class Slow:
            def connect(self, factory: Any) -> Deferred[Any]:
                asked.append(factory)
                return connecting

        opening = self.target(endpoint=Slow()).open(self.ears)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.endpoint.connect(asked[0])
        self.pairs[0].pump()
        self.assertIsNotNone(self.pairs[0].client.closed)

    def secure(self, trusted: bool = True) -> StreamTarget:
        """A target whose connections speak TLS on both ends."""
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        secured = TLSMemoryBIOFactory(options, False, self.factory, self.clock)
        self.endpoint, self.pairs = endpointTo(secured)
        trust = Certificate.loadPEM(serverPEM()) if trusted else None
        client = optionsForClientTLS("localhost", trust)
        endpoint = self.endpoint

        class Secured:
            def connect(_, factory: Any) -> Deferred[Any]:
                return endpoint.connect(TLSMemoryBIOFactory(client, True, factory, self.clock))

        return self.target(endpoint=Secured())

    def test_tls(self) -> None:
        """Over TLS it is open after the handshake, and both times are told."""
        opening = self.secure().open(self.ears)
        self.assertNoResult(opening)
        self.clock.advance(0.007)
        self.pairs[0].pump()
        road: Any = self.successResultOf(opening)
        self.assertEqual((road.connectTime, road.handshakeTime), (0, 7 * MS))
        self.assertFalse(road.finish())
        road.send(b"safe")
        self.clock.advance(0)
        self.pairs[0].pump()
        self.clock.advance(0)
        self.pairs[0].pump()
        self.assertEqual(self.ears.replies, [b"safe"])
        for _ in range(2):
            road.close()
            self.pairs[0].pump()

    def test_notTrusted(self) -> None:
        """A certificate that is not trusted fails the opening."""
        opening = self.secure(trusted=False).open(self.ears)
        self.pairs[0].pump()
        failure = self.failureResultOf(opening)
        self.assertIn("certificate verify failed", str(failure.value))
        self.flushLoggedErrors()

    def test_lostInHandshake(self) -> None:
        """A server that closes or resets during the handshake is gone, and may be back later."""
        for end in ("loseConnection", "abortConnection"):
            opening = self.secure().open(self.ears)
            getattr(self.pairs[-1].server, end)()
            self.pairs[-1].pump()
            self.failureResultOf(opening, ConnectionGone)

    def test_closedInHandshake(self) -> None:
        """Cancelled during the handshake it is never open."""
        opening = self.secure().open(self.ears)
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.pairs[0].pump()
        self.assertEqual(self.ears.reasons, [])


class Unreachable(DatagramWire):
    """A wire from which nothing can be reached."""

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)

        def connect(*args: Any) -> None:
            raise OSError(ENETUNREACH, strerror(ENETUNREACH))

        port.connect = connect
        return port


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.ears = Ears()

    def open(self, host: str = "127.0.0.1", **named: Any) -> Any:
        target = DatagramTarget("udp://lab1:7", self.wire, host, 7, 4, **named)
        verifyObject(ITarget, target)
        road = self.successResultOf(target.open(self.ears))
        verifyObject(IRoad, road)
        return road

    def test_echo(self) -> None:
        """What is sent comes back, on IPv4 and on IPv6."""
        for host in ("127.0.0.1", "::1"):
            self.wire.listenUDP(7, EchoDatagrams(self.wire), host)
            self.open(host).send(b"ping")
            self.wire.deliverAll()
            self.assertEqual(self.ears.replies.pop(), b"ping")

    def test_source(self) -> None:
        """It may leave from an address of choice."""
        self.open(source="127.0.0.9").send(b"ping")
        self.assertEqual(self.wire.pending[0].source[0], "127.0.0.9")

    def test_refused(self) -> None:
        """That nobody is there is told, until it is closed; nothing is told after that."""
        road = self.open()
        road.send(b"ping")
        self.wire.deliverAll()
        self.assertEqual(self.ears.reasons, ["refused: the network says that nobody is there"])
        road.close()
        road.connectionRefused()
        road.datagramReceived(b"ping", ("127.0.0.1", 7))
        self.assertEqual((len(self.ears.reasons), self.ears.replies), (1, []))
        self.assertEqual(self.wire.ports, {})

    def test_tooLong(self) -> None:
        """What no datagram holds raises."""
        with self.assertRaisesRegex(DatagramTooLong, "65508 bytes do not fit"):
            self.open().send(bytes(65_508))

    def test_noWay(self) -> None:
        """Where there is no route it fails, and leaves no port open."""
        self.wire = Unreachable()
        target = DatagramTarget("udp://lab1:7", self.wire, "192.0.2.1", 7, 4)
        failure = self.failureResultOf(target.open(self.ears), ConnectionGone)
        self.assertEqual(str(failure.value), "no way to 192.0.2.1: Network is unreachable")
        self.assertEqual(self.wire.ports, {})
