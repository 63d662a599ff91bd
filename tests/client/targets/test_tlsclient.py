from __future__ import annotations

import os
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.tlsclient import clientContext, serverName
from echoproto.errors import TargetError
from echoproto.protocols.echo import EchoFactory
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
        requested: list[str | None] = []
        secured = serverContext(issued("server", *names).pem)
        # Any: typeshed does not know that the callback may return None.
        note: Any = lambda connection, name, context: requested.append(name)
        secured.sni_callback = note
        trusted = self.file(authority(trust).certificatePEM)
        connect = ConnectOptions(caFile=trusted, verify=verify)
        return self.connected(secured, connect, host), requested

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

    def test_clientCertificate(self) -> None:
        """A client presents its certificate, with the key in the same file or in another."""
        pem = issued("client", "lab2").pem
        begin = pem.index(b"-----BEGIN CERTIFICATE")
        key, certificate = self.file(pem[:begin]), self.file(pem[begin:])
        for connect in (
            ConnectOptions(certFile=self.file(pem)),
            ConnectOptions(certFile=certificate, keyFile=key),
        ):
            secured = serverContext(issued("server", "lab1").pem)
            secured.verify_mode = ssl.CERT_REQUIRED
            secured.load_verify_locations(self.file(authority("authority").certificatePEM))
            client = self.connected(secured, replace(connect, verify=False))
            self.assertEqual(client.received, b"safe")

    def test_alpn(self) -> None:
        """The client offers application protocols, of which the server selects one."""
        secured = serverContext(issued("server", "lab1").pem)
        secured.set_alpn_protocols(["h2", "echo"])
        client = self.connected(secured, ConnectOptions(verify=False, alpn=("echo", "x")))
        self.assertEqual(client.received, b"safe")

    def test_invalidCertificate(self) -> None:
        """A missing, foreign or encrypted key is an error of one line, without a prompt."""
        pem, other = self.file(issued("client", "lab2").pem), self.file(issued("x", "lab3").pem)
        key: Any = load_pem_private_key(Path(pem).read_bytes(), None)
        locked = self.file(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        )
        missing, nothing = self.mktemp(), self.file(b"nothing")
        for certFile, keyFile, message in (
            (missing, "", f"--cert {missing}: No such file"),
            (pem, missing, f"--key {missing}: No such file"),
            (pem, other, f"--key {other}: the key is not that of --cert {pem}"),
            (pem, locked, f"--key {locked}: the key needs a password"),
            (nothing, "", f"--cert {nothing}: no certificate and key in PEM"),
            (nothing, pem, f"--cert {nothing}, --key {pem}: no certificate and key in PEM"),
        ):
            with self.assertRaises(TargetError) as raised:
                clientContext(ConnectOptions(certFile=certFile, keyFile=keyFile))
            self.assertIn(message, str(raised.exception))

    def connected(
        self, secured: ssl.SSLContext, connect: ConnectOptions, host: str = "lab1"
    ) -> _Client:
        """A client after an exchange with a server that has this context."""
        clock = Clock()
        endpoint, pairs = endpointTo(TLSStreamFactory(lambda: secured, EchoFactory(clock), clock))
        client, context = _Client(), clientContext(connect)
        factory: Any = Factory.forProtocol(lambda: client)
        tls = TLSStreamFactory(lambda: context, factory, clock, serverName(host))
        self.successResultOf(endpoint.connect(tls))
        pairs[0].pump()
        pairs[0].client.abortConnection()
        pairs[0].pump()
        return client

    def test_invalid(self) -> None:
        """An invalid name is an error, and a file without certificates, which it names."""
        self.assertRaises(TargetError, serverName, "a..b")
        missing, pipe = self.mktemp(), self.mktemp()
        os.mkfifo(pipe)
        for path, message in (
            (missing, "No such file"),
            (pipe, "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (self.file(b"nothing"), "no certificates in PEM"),
            (self.file(b"x-----END CERTIFICATE-----"), "no certificates in PEM"),
        ):
            with self.assertRaises(TargetError) as raised:
                clientContext(ConnectOptions(caFile=path))
            self.assertEqual(str(raised.exception).partition(": ")[0], f"--ca {path}")
            self.assertIn(message, str(raised.exception))
