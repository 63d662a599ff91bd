from __future__ import annotations

import contextlib
import os
import ssl
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates import servercontext
from echoproto.server.certificates.servercontext import ServerContext
from echoproto.server.certificates.tlsfiles import TLSFiles
from tests.certificates import Identity, authority, issued, serverPEM

#: The most that a test reads at once.
ALL = 2**16


class ServerEnd:
    """
    The server's end of a TLS connection in memory, with the interface of :class:`SSL.Connection`.
    """

    def __init__(self, server: ServerContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = server.current().wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.bio_write, self.do_handshake = self._incoming.write, self.tls.do_handshake
        self.recv = self.tls.read

    def bio_read(self, size: int) -> bytes:
        return self._outgoing.read(size)


def converse(client: SSL.Connection, server: ServerEnd) -> None:
    """Exchange all bytes of a TLS connection in memory; an error of either side is raised."""
    for _ in range(8):
        ends: Any = ((client, server), (server, client))
        for end, other in ends:
            with contextlib.suppress(SSL.WantReadError, ssl.SSLWantReadError):
                end.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                if moved := end.bio_read(ALL):
                    other.bio_write(moved)


class FilesTestCase(SynchronousTestCase):
    """A folder for the PEM files, and clients."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def store(self, name: str, content: bytes) -> str:
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def client(self, identity: Identity | None = None, name: bytes | None = None) -> SSL.Connection:
        """A client with the certificate ``identity`` that requests the server ``name``."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if identity is not None:
            path = self.store("client", identity.pem)
            context.use_certificate_chain_file(path)
            context.use_privatekey_file(path)
        return self.clientOf(context, name)

    def clientOf(self, context: SSL.Context, name: bytes | None = None) -> SSL.Connection:
        client = SSL.Connection(context, None)
        client.set_connect_state()
        if name is not None:
            client.set_tlsext_host_name(name)
        return client

    def connect(self, server: ServerContext, client: SSL.Connection) -> ServerEnd:
        """Connect ``client`` to ``server``; returns the server's end."""
        end = ServerEnd(server)
        converse(client, end)
        return end

    def shownBy(self, server: ServerContext, name: bytes | None = None) -> str:
        """The common name in the server certificate that a new client receives."""
        client = self.client(name=name)
        self.connect(server, client)
        certificate = client.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.subject.rfc4514_string()


class HandshakeTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        path = self.store("server.pem", serverPEM())
        self.server = ServerContext(TLSFiles(path, path))

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are accepted."""
        for version, name in ((SSL.TLS1_2_VERSION, "TLSv1.2"), (SSL.TLS1_3_VERSION, "TLSv1.3")):
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_max_proto_version(version)
            client = self.clientOf(context)
            server = self.connect(self.server, client)
            client.send(b"ping")
            converse(client, server)
            self.assertEqual((server.recv(ALL), server.tls.version()), (b"ping", name))

    def test_oldVersion(self) -> None:
        """TLS 1.1 is refused."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        error = self.assertRaises(ssl.SSLError, self.connect, self.server, self.clientOf(context))
        self.assertIn("unsupported protocol", str(error))

    def test_noRenegotiation(self) -> None:
        """A client's renegotiation is not answered."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client = self.clientOf(context)
        server = self.connect(self.server, client)
        client.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        server.bio_write(client.bio_read(ALL))
        self.assertRaises(ssl.SSLWantReadError, server.recv, ALL)
        client.bio_write(server.bio_read(ALL))
        error = self.assertRaises(SSL.Error, client.do_handshake)
        self.assertIn("no renegotiation", str(error))

    def test_noTickets(self) -> None:
        """A returning client with TLS 1.3 has no ticket, and a full handshake."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        client = self.clientOf(context)
        server = self.connect(self.server, client)
        server.tls.write(b"data")
        converse(client, server)
        self.assertEqual(client.recv(ALL), b"data")
        session = client.get_session()
        assert session is not None
        again = self.clientOf(context)
        again.set_session(session)
        self.assertFalse(self.connect(self.server, again).tls.session_reused)


class SessionTests(FilesTestCase):
    """Sessions of TLS 1.2 are kept for few connections."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(servercontext, "CONNECTIONS_PER_CONTEXT", 2)
        folder = self.folder / "certificates"
        folder.mkdir()
        self.store("certificates/a.pem", issued("one", "one.test").pem)
        self.store("certificates/b.pem", issued("two", "two.test").pem)
        self.server = ServerContext(TLSFiles(str(folder), str(folder)))

    def test_renewed(self) -> None:
        """After some connections the context is another one, with the same certificates."""
        contexts = [self.server.current() for _ in range(6)]
        self.assertEqual([contexts.index(context) for context in contexts], [0, 0, 2, 2, 4, 4])
        for name, expected in ((b"one.test", "CN=one"), (b"two.test", "CN=two"), (None, "CN=one")):
            self.assertEqual(self.shownBy(self.server, name), expected)

    def test_failed(self) -> None:
        """A context that cannot be made is made later; meanwhile the old one is used."""
        before = self.server.current()
        with mock.patch.object(servercontext, "pemFile", side_effect=OSError):
            contexts = [self.server.current() for _ in range(3)]
        self.assertEqual(contexts, [before] * 3)
        self.assertIsNot(self.server.current(), before)


class MutualTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        path = self.store("server.pem", serverPEM())
        authorities = authority("other").certificatePEM + authority("authority").certificatePEM
        self.server = ServerContext(TLSFiles(path, path, self.store("ca.pem", authorities)))

    def test_signed(self) -> None:
        """A client with a certificate signed by one of the authorities is accepted."""
        client = self.client(issued("client"))
        peer: Any = self.connect(self.server, client).tls.getpeercert()
        self.assertEqual(peer["subject"], ((("commonName", "client"),),))

    def test_none(self) -> None:
        """A client without a certificate is refused."""
        error = self.assertRaises(ssl.SSLError, self.connect, self.server, self.client())
        self.assertIn("peer did not return a certificate", str(error))

    def test_foreign(self) -> None:
        """A client with a certificate of another authority is refused."""
        client = self.client(issued("client", issuer="other authority"))
        error = self.assertRaises(ssl.SSLError, self.connect, self.server, client)
        self.assertIn("certificate verify failed", str(error))


class ReloadTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.store("server.pem", issued("old").pem)
        self.server = ServerContext(TLSFiles(self.path, self.path))

    def test_load(self) -> None:
        """After a reload new clients receive the new certificate; open connections continue."""
        client = self.client()
        opened = self.connect(self.server, client)
        self.store("server.pem", issued("new").pem)
        self.assertEqual(self.shownBy(self.server), "CN=old")
        self.server.load(self.server.files.read())
        self.assertEqual(self.shownBy(self.server), "CN=new")
        client.send(b"ping")
        converse(client, opened)
        self.assertEqual(opened.recv(ALL), b"ping")

    def test_withoutMemoryFiles(self) -> None:
        """Where the kernel has no files in memory, temporary files are used."""
        create: Any = os.memfd_create
        self.addCleanup(setattr, os, "memfd_create", create)
        del os.memfd_create
        self.server.load(self.server.files.read())
        self.assertEqual(self.shownBy(self.server), "CN=old")

    def test_contents(self) -> None:
        """Files that another process has read are used without reading them."""
        loaded = self.server.loaded
        self.assertNotIn("PRIVATE", repr(loaded))
        os.remove(self.path)
        other = ServerContext(loaded)
        self.assertEqual(self.shownBy(other), "CN=old")
        self.store("server.pem", issued("new").pem)
        new = TLSFiles(self.path, self.path).read()
        other.load(new)
        self.assertEqual((self.shownBy(other), other.loaded), ("CN=new", new))

    def test_failed(self) -> None:
        """If the files cannot be used, the current certificates stay in use."""
        self.store("server.pem", issued("new").certificatePEM)
        self.assertRaises(ValueError, self.server.load, self.server.files.read())
        self.assertEqual(self.shownBy(self.server), "CN=old")


class ChainTests(FilesTestCase):
    def chainShown(self, files: TLSFiles) -> list[str]:
        client = self.client()
        self.connect(ServerContext(files), client)
        chain = client.get_peer_cert_chain(as_cryptography=True)
        assert chain is not None
        return [name.subject.rfc4514_string() for name in chain]

    def test_sameFile(self) -> None:
        """The certificates that follow the first in its file are sent with it."""
        path = self.store(
            "server.pem", issued("server").pem + authority("authority").certificatePEM
        )
        self.assertEqual(self.chainShown(TLSFiles(path, path)), ["CN=server", "CN=authority"])

    def test_ownFile(self) -> None:
        """The certificates in the chain file are sent after the certificate."""
        path = self.store("server.pem", issued("server").pem)
        chain = self.store("chain.pem", authority("authority").certificatePEM)
        files = TLSFiles(path, path, chain=chain)
        self.assertEqual(self.chainShown(files), ["CN=server", "CN=authority"])


class FolderTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.certificates = self.folder / "certificates"
        self.certificates.mkdir()
        self.files = TLSFiles(str(self.certificates), str(self.certificates))

    def test_names(self) -> None:
        """
        A client receives the certificate of the requested name in any case, or else the first.
        """
        self.store("certificates/a.pem", issued("nameless").pem)
        self.store("certificates/b.pem", issued("one", "one.test", "both.test").pem)
        self.store("certificates/c.pem", issued("many", "*.Many.test", "both.test").pem)
        self.store("certificates/readme.txt", b"none of ours")
        server = ServerContext(self.files)
        shown = {
            name: self.shownBy(server, name)
            for name in (None, b"ONE.test", b"both.test", b"x.many.test", b"many.test")
        }
        self.assertEqual(
            shown,
            {
                None: "CN=nameless",
                b"ONE.test": "CN=one",
                b"both.test": "CN=one",
                b"x.many.test": "CN=many",
                b"many.test": "CN=nameless",
            },
        )

    def test_clientCA(self) -> None:
        """A client certificate is required, whatever server name is requested."""
        self.store("certificates/a.pem", issued("one", "one.test").pem)
        self.store("certificates/b.pem", issued("two", "two.test").pem)
        authorities = self.store("ca.pem", authority("authority").certificatePEM)
        server = ServerContext(replace(self.files, clientCA=authorities))
        self.connect(server, self.client(issued("client"), b"two.test"))
        for name in (None, b"one.test", b"two.test"):
            self.assertRaises(ssl.SSLError, self.connect, server, self.client(name=name))

    def test_separateKey(self) -> None:
        """A separate key is used for every certificate in the folder."""
        self.store("certificates/a.pem", issued("one").certificatePEM)
        key = self.store("key.pem", issued("one").keyPEM)
        self.assertEqual(self.shownBy(ServerContext(replace(self.files, key=key))), "CN=one")


class RefusedFilesTests(FilesTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.good = self.store("good.pem", issued("server").pem)

    def assertRefused(self, files: TLSFiles, *parts: str) -> None:
        """``files`` are refused in one line that has all of ``parts``."""
        message = str(self.assertRaises(ValueError, ServerContext, files))
        self.assertEqual(len(message.splitlines()), 1)
        for part in parts:
            self.assertIn(part, message)

    def test_noCertificate(self) -> None:
        """The message names a file without a valid certificate."""
        bad = self.store("bad.pem", issued("server").keyPEM)
        for files in (
            TLSFiles(bad, self.good),
            TLSFiles(self.good, self.good, clientCA=bad),
            TLSFiles(self.good, self.good, chain=bad),
        ):
            self.assertRefused(files, "bad.pem", "no readable certificate")
        self.store("bad.pem", issued("server").certificatePEM.replace(b"M", b"A"))
        for files in (TLSFiles(bad, self.good), TLSFiles(self.good, self.good, clientCA=bad)):
            self.assertRefused(files, "bad.pem", "BEGIN CERTIFICATE")

    def test_noKey(self) -> None:
        """The message names a file without a key."""
        bad = self.store("bad.pem", issued("server").certificatePEM)
        self.assertRefused(TLSFiles(self.good, bad), "bad.pem", "no readable private key")

    def test_passphrase(self) -> None:
        """A key with a passphrase is refused, with the command that removes it."""
        key = issued("server").encryptedPEM(BestAvailableEncryption(b"secret"))
        bad = self.store("bad.pem", key)
        self.assertRefused(TLSFiles(self.good, bad), "needs a passphrase", "openssl pkey -in")

    def test_otherKey(self) -> None:
        """A key that belongs to another certificate is refused, with both files."""
        bad = self.store("bad.pem", issued("another").keyPEM)
        self.assertRefused(TLSFiles(self.good, bad), "good.pem", "bad.pem", "does not belong")

    def test_unusable(self) -> None:
        """
        A certificate that OpenSSL refuses, such as one that cannot sign, is refused with its
        reason.
        """
        bad = self.store("bad.pem", issued("server", key=X25519PrivateKey.generate()).pem)
        self.assertRefused(TLSFiles(bad, bad), "OpenSSL refuses", "bad.pem", "certificate type")
