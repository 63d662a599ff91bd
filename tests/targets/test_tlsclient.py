from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, cast

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import TargetError
from echoproto.protocols.echo import EchoFactory
from echoproto.targets.tlsclient import clientContext, serverName
from echoproto.testing import endpointTo
from echoproto.transports.tls import TLSStreamFactory
from tests.certificates import authority, issued, serverContext


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


class ClientTests(SynchronousTestCase):
    def file(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def exchange(
        self, host: str, *names: str, trust: str = "authority", verify: bool = True
    ) -> tuple[_Client, list[str | None]]:
        """A client of that host after an exchange with a server for these names; the SNI."""
        clock = Clock()
        requested: list[str | None] = []
        secured = serverContext(issued("server", *names).pem)
        # Any: typeshed does not know that the callback may return None.
        note: Any = lambda connection, name, context: requested.append(name)
        secured.sni_callback = note
        endpoint, pairs = endpointTo(TLSStreamFactory(lambda: secured, EchoFactory(clock), clock))
        context = clientContext(self.file(authority(trust).certificatePEM), verify)
        client = _Client()
        factory: Any = Factory.forProtocol(lambda: client)
        tls = TLSStreamFactory(lambda: context, factory, clock, serverName(host))
        self.successResultOf(endpoint.connect(tls))
        pairs[0].pump()
        pairs[0].client.abortConnection()
        pairs[0].pump()
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
            self.assertEqual((client.received, requested), (b"safe", [name]))

    def test_otherName(self) -> None:
        """A certificate for another host is refused."""
        for host in ("lab2", "192.0.2.1", "fe80::1%lo"):
            client, _ = self.exchange(host, "lab1")
            self.assertEqual(client.received, b"")
            error = cast(Failure, client.reason).value
            self.assertIsInstance(error, ssl.SSLCertVerificationError)
            self.assertIn("mismatch", str(error))

    def test_notTrusted(self) -> None:
        """A certificate of an unknown authority is refused, whether or not it is for the host."""
        for host in ("lab1", "lab2"):
            client, _ = self.exchange(host, "lab1", trust="another")
            self.assertIn("unable to get local issuer", str(cast(Failure, client.reason).value))

    def test_insecure(self) -> None:
        """Without verification any certificate is accepted; the server is named all the same."""
        client, requested = self.exchange("my_service", "lab1", verify=False)
        self.assertEqual((client.received, requested), (b"safe", ["my_service"]))
        client, requested = self.exchange("192.0.2.1", "lab1", verify=False)
        self.assertEqual((client.received, requested), (b"safe", [None]))

    def test_system(self) -> None:
        """Without a file the certificates of the system are trusted, and verified."""
        context = clientContext()
        self.assertEqual((context.check_hostname, context.verify_mode), (True, ssl.CERT_REQUIRED))

    def test_invalid(self) -> None:
        """An invalid name is an error, and a file without certificates, which it names."""
        self.assertRaises(TargetError, serverName, "a..b")
        missing = self.mktemp()
        for path, message in (
            (missing, "No such file"),
            (self.file(b"nothing"), "no certificates in PEM"),
            (self.file(b"x-----END CERTIFICATE-----"), "no certificates in PEM"),
        ):
            with self.assertRaises(TargetError) as raised:
                clientContext(path)
            self.assertEqual(str(raised.exception).partition(": ")[0], path)
            self.assertIn(message, str(raised.exception))
