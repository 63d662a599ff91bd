"""
Certificates and keys for TLS listeners, read from files.

:class:`ServerContext` is a connection creator of Twisted that can read its files again while the
    program runs; open connections keep theirs. Every fault of a file is found when it is read, and
    reported in one line.

This module can be imported, and :class:`TLSFiles` used, without the extra ``tls`` (pyOpenSSL and
cryptography).

Files are read by cryptography, not by OpenSSL itself: that asks the terminal for the passphrase of
a key, and the callback of pyOpenSSL that would answer is deprecated.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from OpenSSL.SSL import Connection, Context


@dataclass(frozen=True)
class TLSFiles:
    """
    Paths of the files of a TLS listener, all of them PEM.

    :ivar certificate: file of the certificate, first, and the certificates between it and its root;
        or a folder whose ``.pem`` files each have a key and its certificate: a client gets the one
        with the requested name, or the first by file name.
    :ivar key: file of the private key, without a passphrase; may be the same as ``certificate``.
    :ivar clientCA: file of the authorities of accepted clients: mutual TLS.
    :ivar chain: file of more certificates between ``certificate`` and its root.
    :ivar contents: the contents of all files by their paths, once they are read. Two that differ
        only in these are equal.
    """

    certificate: str
    key: str
    clientCA: str | None = None
    chain: str | None = None
    contents: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def read(self) -> TLSFiles:
        """
        The same with the contents of the files, which another process can use without the files.

        :raise ValueError: a file cannot be read; the message is one line.
        """
        paths = [self.certificate]
        if os.path.isdir(self.certificate):
            paths = [str(path) for path in sorted(Path(self.certificate).glob("*.pem"))]
            if not paths:
                raise ValueError(
                    f"no .pem file in the folder {self.certificate!r}; "
                    "add files with a key and its certificate"
                )
        rest = (self.key, self.clientCA, self.chain)
        paths += [path for path in rest if path is not None and path != self.certificate]
        return replace(self, contents={path: _readBytes(path) for path in paths})


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """
    Makes the TLS connections of a listener: TLS 1.2 or later, no compression, no renegotiation.

    Sessions are not resumed, as with Twisted's own ``CertificateOptions``: no memory is held for
    clients that may never return, no ticket key outlives its day, and every client shows its
    certificate every time. The price is a full handshake for every connection.

    :param files: the files; read now unless they have contents.
    :ivar loaded: the files with the contents in use.
    :raise ValueError: they cannot be used, or the extra ``tls`` is missing; the message is one
        line.
    """

    def __init__(self, files: TLSFiles) -> None:
        self.files = files
        self.load(files if files.contents else None)

    def load(self, loaded: TLSFiles | None = None) -> None:
        """
        Read the files again, for new connections.

        :param loaded: the files, if another process has read them.
        :raise ValueError: they cannot be used; the former ones stay in use.
        """
        try:
            import OpenSSL  # noqa: F401
        except ImportError:
            raise ValueError("TLS needs pyOpenSSL: pip install 'echoproto[tls]'") from None
        loaded = loaded if loaded is not None else self.files.read()
        self._context = _loadAll(loaded)
        self.loaded = loaded

    def serverConnectionForTLS(self, tlsProtocol: Any) -> Connection:
        """A connection with the files read last; called by Twisted for each client."""
        from OpenSSL.SSL import Connection

        return Connection(self._context, None)


def _loadAll(files: TLSFiles) -> Context:
    """
    The context that connections begin with; it is replaced if the client requests another name.
    """
    loaded = [_load(pair) for pair in _pairs(files)]
    first, _ = loaded[0]
    byName: dict[str, Context] = {}

    def chooseContext(connection: Connection) -> None:
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        wildcard = "*." + name.partition(".")[2]
        connection.set_context(byName.get(name) or byName.get(wildcard) or first)

    if len(loaded) > 1:
        for context, certificate in loaded:
            for name in _namesIn(certificate):
                byName.setdefault(name, context)
            # A second ClientHello calls again, perhaps after a reload: if any context is known, so
            # is the first.
            context.set_app_data(first)
        first.set_tlsext_servername_callback(chooseContext)
    return first


def _pairs(files: TLSFiles) -> list[TLSFiles]:
    """The same files, or those of each certificate in a folder."""
    if files.certificate in files.contents:
        return [files]
    folder = Path(files.certificate)
    found = [path for path in files.contents if Path(path).parent == folder]
    return [
        replace(files, certificate=path, key=path if files.key == files.certificate else files.key)
        for path in found
        if path.endswith(".pem")
    ]


def _load(files: TLSFiles) -> tuple[Context, Certificate]:
    """A certificate, and the context that shows it."""
    from OpenSSL.SSL import Error

    certificate, *between = _readCertificates(files, files.certificate)
    if files.chain is not None:
        between += _readCertificates(files, files.chain)
    key = _readKey(files)
    if key.public_key() != certificate.public_key():
        raise ValueError(
            f"the key in {files.key!r} does not belong to the first certificate in "
            f"{files.certificate!r}; give the files of one pair"
        )
    context = _emptyContext()
    try:
        context.use_certificate(certificate)
        context.use_privatekey(key)
        for certificate in between:
            context.add_extra_chain_cert(certificate)
        if files.clientCA is not None:
            _demandClients(context, _readCertificates(files, files.clientCA))
    except Error as error:
        reasons = ", ".join(reason[-1] for reason in error.args[0])
        raise ValueError(f"OpenSSL refuses {files.certificate!r}: {reasons}") from error
    return context, certificate


def _emptyContext() -> Context:
    from OpenSSL import SSL

    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    # Earlier versions "MUST NOT be used" (RFC 8996).
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_TICKET
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # An idle connection then holds no buffers, about 32 KiB.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    return context


def _demandClients(context: Context, authorities: Iterable[Certificate]) -> None:
    """
    Accept only clients with a certificate of these authorities, and name these to the clients.
    """
    from OpenSSL import SSL
    from OpenSSL.crypto import X509

    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        context.add_client_ca(authority)
        store.add_cert(X509.from_cryptography(authority))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)


def _readBytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(
            f"cannot read {path!r}: {error.strerror}; check the path and its permissions"
        ) from error


def _readCertificates(files: TLSFiles, path: str) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    data = files.contents[path]
    try:
        return load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(
            f"no readable certificate in {path!r}; "
            "give a PEM file, with -----BEGIN CERTIFICATE-----"
        ) from error


def _readKey(files: TLSFiles) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = files.key
    data = files.contents[path]
    try:
        return load_pem_private_key(data, None)
    except TypeError as error:
        raise ValueError(
            f"the key in {path!r} needs a passphrase, which a server cannot ask for; "
            f"remove it with openssl pkey -in {path!r}"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            f"no readable private key in {path!r}; "
            "give a PEM file, with -----BEGIN PRIVATE KEY-----"
        ) from error


def _namesIn(certificate: Certificate) -> list[str]:
    """The DNS names of a certificate; the common name no longer counts (RFC 9525 section 2)."""
    from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName

    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except ExtensionNotFound:
        return []
    return [name.lower() for name in names.value.get_values_for_type(DNSName)]
