from __future__ import annotations

import ssl
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.client.greeting import GREETING_TIMEOUT, greet, greetDatagram, otherService
from echoproto.client.targets.endpoints import _TLSEndpoint
from echoproto.client.targets.failures import CLOSED_HANDSHAKE, CLOSED_HINT
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.udp import UDPTarget
from echoproto.errors import (
    ConnectionClosed,
    DatagramTooLong,
    EmptyReply,
    ExchangeCancelled,
    ExchangeTimeout,
    ReplyTooLong,
)
from echoproto.protocols.greeting import (
    CLIENT_GREETING,
    SERVER_GREETING,
    GreetingDatagramProtocol,
    GreetingFactory,
)
from echoproto.testing import (
    DatagramWire,
    MemoryDatagramPort,
    RecordingProtocol,
    StreamPair,
    endpointTo,
)
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import clientContext, serverContext


@implementer(IStreamClientEndpoint)
class NeverEndpoint:
    """An endpoint that never connects."""

    def __init__(self) -> None:
        self.connecting: Deferred[Any] = Deferred()

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return self.connecting


@implementer(IStreamClientEndpoint)
class LateEndpoint:
    """An endpoint that ignores cancellation."""

    factory: Any

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        self.factory = protocolFactory
        return Deferred(lambda connecting: connecting.callback(None))


class GreetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def start(self, **options: Any) -> Deferred[bytes]:
        """Begin to greet a server that sends only the replies the test writes."""
        endpoint, pairs = endpointTo(Factory.forProtocol(RecordingProtocol))
        greeted = greet(endpoint, self.clock, **options)
        [self.pair] = pairs
        self.pair.pump()
        self.server: Any = self.pair.server.protocol
        return greeted

    def answer(self, data: bytes) -> None:
        self.server.link.write(data)
        self.server.link.loseConnection()
        self.pair.pump()

    def test_exchange(self) -> None:
        """The greeting is sent without a newline or a FIN, and the result is the server's reply."""
        greeted = self.start()
        self.assertEqual(self.server.received, CLIENT_GREETING)
        self.assertEqual(self.server.events, ["made", "data"])
        self.answer(b"Moin")
        self.assertEqual(self.successResultOf(greeted), b"Moin")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ourServer(self) -> None:
        """The greeting service of this package replies."""
        endpoint, pairs = endpointTo(GreetingFactory(self.clock))
        greeted = greet(endpoint, self.clock)
        pairs[0].pump()
        self.assertEqual(self.successResultOf(greeted), SERVER_GREETING)

    def test_otherMessage(self) -> None:
        """The message can be chosen by the caller."""
        greeted = self.start(message=b"Moin")
        self.assertEqual(self.server.received, b"Moin")
        self.answer(b"Moin, moin")
        self.successResultOf(greeted)

    def test_onlyBytes(self) -> None:
        """A message of another type than bytes raises a TypeError."""
        self.assertRaises(TypeError, greet, NeverEndpoint(), self.clock, "Moin")

    def test_emptyReply(self) -> None:
        """A server that closes without a reply is an error."""
        greeted = self.start()
        self.answer(b"")
        failure = self.failureResultOf(greeted, EmptyReply)
        self.assertEqual(
            str(failure.value),
            f"the server closed without a reply{CLOSED_HINT} or TLS: try tls:// then",
        )

    def test_tooLong(self) -> None:
        """A reply over the size limit is an error, and the connection is aborted."""
        greeted = self.start(maximum=10)
        self.server.link.write(b"x" * 11)
        self.pair.pump()
        self.failureResultOf(greeted, ReplyTooLong)
        self.assertEqual(self.server.events[-1], "lost")

    def test_echoServiceCloses(self) -> None:
        """That of an echo service is the greeting: it closes after our FIN, not at the limit."""
        greeted = self.start()
        self.server.link.write(CLIENT_GREETING)
        self.pair.pump()
        self.server.link.loseConnection()
        self.pair.pump()
        self.assertEqual(self.successResultOf(greeted), CLIENT_GREETING)

    def test_echoService(self) -> None:
        """A server that returns the greeting and does not close is reported as an echo service."""
        greeted = self.start()
        self.server.link.write(CLIENT_GREETING)
        self.pair.pump()
        self.clock.advance(GREETING_TIMEOUT)
        failure = self.failureResultOf(greeted, ExchangeTimeout)
        self.assertIn("this is an echo service", str(failure.value))

    def test_timeout(self) -> None:
        """A server that does not close in time is an error that contains the partial reply."""
        greeted = self.start()
        self.server.link.write(b"Hello, cl")
        self.pair.pump()
        self.clock.advance(GREETING_TIMEOUT)
        failure = self.failureResultOf(greeted, ExchangeTimeout)
        self.assertEqual(
            str(failure.value), "the reply did not end within 10 s; received so far: b'Hello, cl'"
        )
        self.pair.pump()
        self.assertEqual(self.server.events[-1], "lost")

    def test_noHandshake(self) -> None:
        """A server that does not answer the TLS handshake is reported as such."""
        endpoint, _ = endpointTo(Factory.forProtocol(RecordingProtocol))
        secured = _TLSEndpoint(endpoint, self.overTLS)
        greeted = greet(secured, self.clock)
        self.clock.advance(GREETING_TIMEOUT)
        failure = self.failureResultOf(greeted, ExchangeTimeout)
        self.assertIn("try tcp:// instead", str(failure.value))

    def test_handshake(self) -> None:
        """A server that is silent after the TLS handshake has only not replied."""
        server = TLSStreamFactory(serverContext, Factory.forProtocol(RecordingProtocol), self.clock)
        endpoint, pairs = endpointTo(server)
        greeted = greet(_TLSEndpoint(endpoint, self.overTLS), self.clock)
        pairs[0].pump()
        self.clock.advance(GREETING_TIMEOUT)
        failure = self.failureResultOf(greeted, ExchangeTimeout)
        self.assertIn("received so far: b''", str(failure.value))

    def overTLS(self, factory: Any) -> TLSStreamFactory:
        return TLSStreamFactory(clientContext, factory, self.clock, "localhost")

    def test_reset(self) -> None:
        """A reply cut off by a reset is an error."""
        greeted = self.start()
        self.server.link.abortConnection()
        self.pair.pump()
        failure = self.failureResultOf(greeted, ConnectionClosed)
        self.assertIn(" or TLS: try tls:// then", str(failure.value))

    def test_closedHandshake(self) -> None:
        """A connection that ends during the TLS handshake is reported as that."""
        endpoint, pairs = endpointTo(Factory.forProtocol(RecordingProtocol))
        greeted = greet(_TLSEndpoint(endpoint, self.overTLS), self.clock)
        pairs[0].pump()
        server: Any = pairs[0].server.protocol
        server.link.abortConnection()
        pairs[0].pump()
        failure = self.failureResultOf(greeted, ConnectionClosed)
        self.assertEqual(str(failure.value), CLOSED_HANDSHAKE)

    def test_notTLS(self) -> None:
        """A failure of TLS is that of the greeting."""
        greeted = self.start()
        protocol: Any = self.pair.client.protocol
        protocol.connectionLost(Failure(ssl.SSLError(1, "wrong version number")))
        self.failureResultOf(greeted, ssl.SSLError)

    def test_cancelled(self) -> None:
        """A cancelled greeting fails with ExchangeCancelled and aborts the connection."""
        greeted = self.start()
        greeted.cancel()
        self.failureResultOf(greeted, ExchangeCancelled)
        self.pair.pump()
        self.assertEqual(self.server.events[-1], "lost")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelledWhileConnecting(self) -> None:
        """A greeting cancelled before the connection is made cancels the connection attempt."""
        endpoint = NeverEndpoint()
        greeted = greet(endpoint, self.clock)
        greeted.cancel()
        self.failureResultOf(greeted, ExchangeCancelled)
        self.assertTrue(endpoint.connecting.called)

    def test_connectedTooLate(self) -> None:
        """A connection made after the timeout is aborted without sending anything."""
        endpoint = LateEndpoint()
        greeted = greet(endpoint, self.clock)
        self.clock.advance(GREETING_TIMEOUT)
        error = self.failureResultOf(greeted, ExchangeTimeout).value
        self.assertEqual(str(error), "no connection in 10 s")
        server = RecordingProtocol()
        pair = StreamPair(endpoint.factory.buildProtocol(None), server)
        pair.pump()
        self.assertEqual((server.received, server.events), (b"", ["made", "lost"]))

    def test_refused(self) -> None:
        """A failed connection attempt fails the greeting with Twisted's error."""
        factory = GreetingFactory(self.clock)
        factory.drain()
        greeted = greet(endpointTo(factory)[0], self.clock)
        self.failureResultOf(greeted, ConnectionRefusedError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.wire.listenUDP(7, GreetingDatagramProtocol(self.wire))

    def greet(self, port: int = 7, message: bytes = CLIENT_GREETING) -> Deferred[bytes]:
        target = UDPTarget("lab", self.wire, ResolvedHost(["127.0.0.1"]), port, len(message))
        self.addCleanup(lambda: self.assertEqual([*self.wire.ports], [("127.0.0.1", 7)]))
        self.addCleanup(lambda: self.assertEqual(self.wire.getDelayedCalls(), []))
        return greetDatagram(target, self.wire, message, timeout=3)

    def test_reply(self) -> None:
        """The first reply is the result; a second one is ignored."""
        greeting = self.greet()
        self.wire.deliver()
        self.wire.duplicate()
        port = self.wire.ports["127.0.0.1", 50_000]
        self.wire.deliver(1)
        self.assertEqual(self.successResultOf(greeting), SERVER_GREETING)
        port.protocol.datagramReceived(b"again", ("127.0.0.1", 7))
        self.wire.pending.clear()

    def test_refused(self) -> None:
        """A refused datagram fails the greeting once; a second refusal is ignored."""
        greeting = self.greet(9)
        port = self.wire.ports["127.0.0.1", 50_000]
        self.wire.duplicate()
        self.wire.deliver()
        self.failureResultOf(greeting, ConnectionClosed)
        port.protocol.connectionRefused()

    def test_late(self) -> None:
        """The greeting fails if no reply arrives in time, or if it is cancelled."""
        greeting = self.greet()
        self.wire.pending.clear()
        self.wire.advance(3)
        failure = self.failureResultOf(greeting, ExchangeTimeout)
        self.assertEqual(str(failure.value), "no reply in 3 s")
        greeting = self.greet(message=b"x")
        self.wire.pending.clear()
        self.wire.advance(3)
        failure = self.failureResultOf(greeting, ExchangeTimeout)
        hint = "; over UDP a server answers no message shorter than its reply"
        self.assertEqual(str(failure.value), f"no reply in 3 s{hint}")
        greeting = self.greet()
        greeting.cancel()
        self.failureResultOf(greeting, ExchangeCancelled)

    def test_notSent(self) -> None:
        """A datagram that cannot be sent fails the greeting."""
        self.failureResultOf(self.greet(message=bytes(65_508)), DatagramTooLong)
        with mock.patch.object(
            MemoryDatagramPort, "write", side_effect=OSError(1, "Operation not permitted")
        ):
            failure = self.failureResultOf(self.greet(), ConnectionClosed)
        self.assertEqual(str(failure.value), "not sent: Operation not permitted")


class OtherServiceTests(SynchronousTestCase):
    def test_returned(self) -> None:
        """A returned message shows an echo service, or on datagrams one with counters."""
        message = bytes(24)
        counted = bytes(4) + b"x" * 16 + bytes(4)
        self.assertIn("an echo service", otherService(message, message, isDatagram=False))
        self.assertIn("a UDPEchoPlus service", otherService(message, counted, isDatagram=True))
        self.assertEqual(otherService(message, counted, isDatagram=False), "")
        self.assertEqual(otherService(message, b"Hello", isDatagram=True), "")
