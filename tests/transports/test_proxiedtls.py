"""TLS behind a PROXY header."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

from twisted.internet.protocol import Factory

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.observer import CloseReason
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import clientContext, serverContext
from tests.reactors.turns import TurnTestCase
from tests.transports.proxycase import (
    CLIENT,
    PROXY,
    ProxyProtocolTestCase,
    line,
)


class TLSTests(ProxyProtocolTestCase):
    """TLS between the PROXY header and the service."""

    def setUp(self) -> None:
        super().setUp()
        secured = TLSStreamFactory(serverContext, self.service, self.clock)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.V1, AddressFilter([PROXY.host]), secured
        )

    def secure(self) -> tuple[StreamPair, RecordingProtocol]:
        """Connect a client whose ClientHello follows its header immediately."""
        client = RecordingProtocol()
        wrapped: Any = Factory.forProtocol(lambda: client)
        clients = TLSStreamFactory(clientContext, wrapped, self.clock, "localhost")
        pair = StreamPair(clients.buildProtocol(PROXY), self.factory.buildProtocol(PROXY))
        pair.client.queue[:0] = line(CLIENT)
        return pair, client

    def move(self, pair: StreamPair) -> None:
        # TLS sends buffered small writes in the reactor's next turn.
        for _ in range(3):
            pair.pump()
            self.clock.advance(0)

    def test_header(self) -> None:
        """After the header, the announced client uses TLS, including a half-close."""
        pair, client = self.secure()
        pair.step()
        self.assertEqual(self.observer.opened, [])
        self.move(pair)
        self.assertEqual(self.observer.opened, [CLIENT])
        client.link.write(b"hello")
        client.link.loseWriteConnection()
        self.move(pair)
        self.assertEqual(client.received, b"hello")
        [summary] = self.observer.ended
        self.assertEqual((summary.peer, summary.ending), (CLIENT, CloseReason.FINISHED))
        self.assertReleased()

    def test_noHandshake(self) -> None:
        """Plain text after the header is reported as a failed handshake of the client."""
        pair, _ = self.send(line(CLIENT) + b"hello, in the clear")
        self.assertIsNotNone(pair.server.closed)
        self.assertEqual(self.observer.refused, [(CLIENT, "TLS handshake failed")])
        self.assertReleased()

    def test_refused(self) -> None:
        """An announced client that is refused is aborted before the handshake."""
        self.admission.admit(CLIENT.host)
        pair, client = self.secure()
        self.move(pair)
        self.assertAborted(pair)
        self.assertEqual(client.events, ["made", "lost"])
        self.assertEqual(self.observer.refused, [(CLIENT, Refusal.SOURCE_FULL.value)])
        self.admission.release(CLIENT.host)
        self.assertReleased()


class TLSOnSocketsTests(TurnTestCase):
    """TLS behind a PROXY header on the direct reactor."""

    def handshake(self, isTogether: bool) -> None:
        """Connect with the header and the ClientHello in one segment or in two."""
        service = EchoFactory(self.reactor)
        secured = TLSStreamFactory(serverContext, service, self.reactor)
        trusted = AddressFilter(["127.0.0.1"])
        factory = ProxyProtocolFactory(service, ProxyProtocolVersion.V1, trusted, secured)
        port = self.reactor.listenTCP(0, factory, interface="127.0.0.1")
        peer = socket.create_connection(port.socket.getsockname())
        self.addCleanup(peer.close)
        peer.setblocking(False)
        received, written = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = clientContext().wrap_bio(received, written, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            tls.do_handshake()
        header = line(CLIENT)
        if isTogether:
            header += written.read()
        peer.send(header)
        self.turnUntil(lambda: service.tracker.connections)

        def isSecured() -> bool:
            peer.send(written.read())
            with contextlib.suppress(BlockingIOError):
                received.write(peer.recv(65_536))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                return True
            return False

        self.turnUntil(isSecured)
        connection: Any
        [connection] = service.tracker.connections
        self.assertEqual(connection.peer, CLIENT)
        connection.abort()
        port.stopListening()
        self.turnUntil(lambda: not service.tracker.connections)

    def test_together(self) -> None:
        """A ClientHello that arrives together with the header is answered."""
        self.handshake(True)

    def test_afterwards(self) -> None:
        """A ClientHello that arrives after the header is answered."""
        self.handshake(False)
