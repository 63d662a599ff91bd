from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from service_identity import VerificationError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.errors import TargetError
from echoproto.protocols.echo import EchoFactory
from echoproto.targets.tlsclient import ClientConnections
from echoproto.testing import endpointTo
from tests.certificates import authority, issued


class _Client(Protocol):
    received = b""
    reason: Failure | None = None

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"safe")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.reason = reason


class ClientConnectionsTests(SynchronousTestCase):
    def file(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def exchange(
        self, host: str, *names: str, trust: str = "authority", **options: Any
    ) -> tuple[_Client, list[Any]]:
        """A client of that host after an exchange with a server for these names; the SNI."""
        clock, requested = Clock(), []
        secured = PrivateCertificate.loadPEM(issued("server", *names).pem).options()
        secured.getContext().set_tlsext_servername_callback(
            lambda connection: requested.append(connection.get_servername())
        )
        server = TLSMemoryBIOFactory(secured, False, EchoFactory(clock), clock)
        endpoint, pairs = endpointTo(server)
        connections = ClientConnections(host, self.file(authority(trust).certificatePEM), **options)
        verifyObject(IOpenSSLClientConnectionCreator, connections)
        client = _Client()
        factory: Any = Factory.forProtocol(lambda: client)
        tls = TLSMemoryBIOFactory(connections, True, factory, clock)
        self.successResultOf(endpoint.connect(tls))
        for _ in range(4):
            pairs[0].pump()
            clock.advance(0)
        pairs[0].client.abortConnection()
        pairs[0].pump()
        self.flushLoggedErrors()
        return client, requested

    def test_names(self) -> None:
        """A certificate is accepted for names with underscores, a final dot or umlauts."""
        for host, name in (
            ("lab1", "lab1"),
            ("lab1.", "lab1"),
            ("my_service", "my_service"),
            ("b\u00fccher.example", "xn--bcher-kva.example"),
        ):
            client, requested = self.exchange(host, name)
            self.assertEqual((client.received, requested), (b"safe", [name.encode()]))

    def test_otherName(self) -> None:
        """A certificate for another host is refused, with Twisted's own error."""
        for host in ("lab2", "192.0.2.1", "fe80::1%lo"):
            client, _ = self.exchange(host, "lab1")
            self.assertEqual(client.received, b"")
            self.assertIsInstance(cast(Failure, client.reason).value, VerificationError)

    def test_notTrusted(self) -> None:
        """A certificate of an unknown authority is refused, whether or not it is for the host."""
        for host in ("lab1", "lab2"):
            client, _ = self.exchange(host, "lab1", trust="another")
            self.assertIn("certificate verify failed", str(cast(Failure, client.reason).value))

    def test_insecure(self) -> None:
        """Without verification any certificate is accepted; the server is named all the same."""
        client, requested = self.exchange("my_service", "lab1", verify=False)
        self.assertEqual((client.received, requested), (b"safe", [b"my_service"]))
        client, requested = self.exchange("192.0.2.1", "lab1", verify=False)
        self.assertEqual((client.received, requested), (b"safe", [None]))

    def test_system(self) -> None:
        """Without a file the certificates of the system are trusted."""
        self.assertTrue(ClientConnections("lab1"))

    def test_invalid(self) -> None:
        """An invalid name is an error, and a file without certificates, which it names."""
        self.assertRaises(TargetError, ClientConnections, "a..b")
        missing = self.mktemp()
        for path, message in (
            (missing, "No such file"),
            (self.file(b"nothing"), "no certificates in PEM"),
            (self.file(b"x-----END CERTIFICATE-----"), "no certificates in PEM"),
        ):
            with self.assertRaises(TargetError) as raised:
                ClientConnections("lab1", path)
            self.assertEqual(str(raised.exception).partition(": ")[0], path)
            self.assertIn(message, str(raised.exception))
