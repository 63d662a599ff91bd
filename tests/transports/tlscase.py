"""Connections with TLS, whose client a test controls."""

from __future__ import annotations

import ssl
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS, PIECE_SIZE
from echoproto.transports.tls import TLSStreamFactory
from echoproto.transports.tlsengine import READ_SIZE
from tests.certificates import authority, serverContext, serverPEM

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


@implementer(IPushProducer)
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
