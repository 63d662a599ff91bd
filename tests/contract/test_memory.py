"""The contracts in memory: on streams with different segments, on TLS, and on datagrams."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.ssl import Certificate, PrivateCertificate, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from echoproto import connectEcho, connectEchoDatagram, greet
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.protocols.greeting import GreetingDatagramProtocol, GreetingFactory
from echoproto.testing import DatagramWire, endpointTo
from tests.certificates import serverPEM

# Imported as modules: an imported contract class would be collected as a test.
from tests.contract import echo, greeting

Cut = Callable[[int], int] | None


def byteByByte(waiting: int) -> int:
    return 1


class OnStream:
    """Segments are not split."""

    cut: Cut = None

    def setUp(self) -> None:
        self.clock = Clock()
        self.pairs: list[Any] = []

    def endpoint(self, factory: IProtocolFactory) -> Any:
        endpoint, self.pairs = endpointTo(factory)
        return endpoint

    def move(self) -> None:
        for pair in self.pairs:
            pair.cut = self.cut
            pair.pump()
            # TLS sends buffered small writes in the reactor's next turn.
            while (
                self.clock.getDelayedCalls()
                and self.clock.calls[0].getTime() <= self.clock.seconds()
            ):
                self.clock.advance(0)
                pair.pump()


class StreamEchoTests(OnStream, echo.EchoContract):
    def connect(self) -> Deferred[Any]:
        if not self.pairs:
            self._endpoint = self.endpoint(EchoFactory(self.clock))
        return connectEcho(self._endpoint, self.clock)


class ByteByByteEchoTests(StreamEchoTests):
    cut = staticmethod(byteByByte)
    longest = 70_000


class RandomSegmentEchoTests(StreamEchoTests):
    def cut(self, waiting: int) -> int:
        return self.random.randint(1, waiting)

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(862)


class StreamGreetingTests(OnStream, greeting.GreetingContract):
    def exchange(self, message: bytes) -> Deferred[bytes]:
        reply = greet(self.endpoint(GreetingFactory(self.clock)), self.clock, message)
        self.move()
        return reply


class ByteByByteGreetingTests(StreamGreetingTests):
    cut = staticmethod(byteByByte)


@implementer(IStreamClientEndpoint)
class TLSEndpoint:
    """An endpoint that uses TLS over another endpoint."""

    def __init__(self, endpoint: IStreamClientEndpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        options = optionsForClientTLS("localhost", Certificate.loadPEM(serverPEM()))
        factory = TLSMemoryBIOFactory(options, True, protocolFactory, self._clock)
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(lambda tls: tls.wrappedProtocol)


class OnTLS(OnStream):
    """TLS over the stream in memory."""

    def endpoint(self, factory: IProtocolFactory) -> Any:
        options = PrivateCertificate.loadPEM(serverPEM()).options()
        plain = super().endpoint(TLSMemoryBIOFactory(options, False, factory, self.clock))
        return TLSEndpoint(plain, self.clock)


class TLSEchoTests(OnTLS, StreamEchoTests):
    pass


class TLSGreetingTests(OnTLS, StreamGreetingTests):
    pass


class DatagramEchoTests(echo.EchoContract):
    longest = 65_507

    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.wire.listenUDP(7777, EchoDatagramProtocol(self.wire), maxPacketSize=65_535)

    def connect(self) -> Deferred[Any]:
        return connectEchoDatagram(self.wire, "127.0.0.1", 7777)

    def move(self) -> None:
        self.wire.deliverAll()


class DatagramGreetingTests(greeting.GreetingContract):
    def exchange(self, message: bytes) -> Deferred[bytes]:
        wire = DatagramWire()
        wire.listenUDP(7777, GreetingDatagramProtocol(wire), maxPacketSize=65_535)
        client = _Client()
        wire.listenUDP(8888, client).write(message, ("127.0.0.1", 7777))
        wire.deliverAll()
        return client.answer


class _Client(DatagramProtocol):
    """Fires with the first received datagram."""

    noisy = False

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.answer.callback(datagram)
