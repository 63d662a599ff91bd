"""
Certificates and keys for TLS listeners.

:class:`ServerContext` can read its files again while the program runs; open connections keep
theirs. Every fault of a file is found when it is read, and reported in one line.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress

from echoproto.server.certificates.certificate import Certificate, describeCertificate
from echoproto.server.certificates.pemfile import pemFile
from echoproto.server.certificates.tlsfiles import TLSFiles

#: Connections that share a context, after which it is made anew: each handshake of TLS 1.2 leaves
#: a session in it, with the certificates of the client. OpenSSL keeps 20,480 of them, which is
#: 22 MB or more, and Python cannot tell it to keep none.
CONNECTIONS_PER_CONTEXT = 1000


class ServerContext:
    """
    The TLS context of a listener: TLS 1.2 or later, no compression, no renegotiation.

    Clients get no session tickets: no ticket key outlives its day, and in TLS 1.3 every client
    shows its certificate every time. The price is a full handshake for every connection.

    :param files: the files; read now unless they have contents.
    :ivar loaded: the files with the contents in use.
    :ivar certificates: the certificates in them.
    :raise ValueError: they cannot be used; the message is one line.
    """

    def __init__(self, files: TLSFiles) -> None:
        self.files = files
        self.load(files if files.contents else files.read())

    def load(self, loaded: TLSFiles) -> None:
        """
        Use files that were read again, for new connections.

        :raise ValueError: they cannot be used; the former ones stay in use.
        """
        self._context, self.certificates = _loadAll(loaded)
        self.loaded = loaded
        self._connections = 0

    def current(self) -> ssl.SSLContext:
        """The context of the next connection, with the files read last."""
        if self._connections == CONNECTIONS_PER_CONTEXT:
            self._connections = 0
            # Without a free descriptor, for example, the old one is used for longer.
            with suppress(OSError, ValueError):
                context, _ = _load(self.loaded.pairs()[0])
                context.sni_callback = self._context.sni_callback
                self._context = context
        self._connections += 1
        return self._context


def _loadAll(files: TLSFiles) -> tuple[ssl.SSLContext, list[Certificate]]:
    """
    The context that connections begin with, which is replaced if the client requests another name,
    and all certificates.
    """
    loaded = [_load(pair) for pair in files.pairs()]
    first = loaded[0][0]
    byName: dict[str, ssl.SSLContext] = {}
    for context, certificate in loaded:
        for name in certificate.names:
            byName.setdefault(name, context)

    def chooseContext(connection: ssl.SSLObject, requested: str | None, _: ssl.SSLContext) -> None:
        name = (requested or "").lower()
        wildcard = "*." + name.partition(".")[2]
        connection.context = byName.get(name) or byName.get(wildcard) or first

    if len(loaded) > 1:
        # A second ClientHello calls that of the chosen context.
        for context, _ in loaded:
            context.sni_callback = chooseContext
    return first, [certificate for _, certificate in loaded]


def _load(files: TLSFiles) -> tuple[ssl.SSLContext, Certificate]:
    """A context that shows a certificate, and that certificate."""
    context = _emptyContext()
    certificates = _certificatesIn(files, files.certificate)
    if files.chain is not None:
        certificates += _certificatesIn(files, files.chain)
    key = files.contents[files.key]
    if not _PRIVATE_KEY.search(key):
        raise ValueError(
            f"no readable private key in {files.key!r}; give a PEM file, with "
            "-----BEGIN PRIVATE KEY-----, or that of the key by --tls-key or tlsKey="
        )
    with pemFile(b"\n".join(certificates)) as certificateFile, pemFile(key) as keyFile:
        try:
            certificate = describeCertificate(files.certificate, certificateFile)
        except ssl.SSLError as error:
            raise ValueError(_noCertificate(files.certificate)) from error
        try:
            context.load_cert_chain(certificateFile, keyFile, lambda: _refusePassphrase(files.key))
        except ssl.SSLError as error:
            raise ValueError(_reasonOf(error, files)) from error
    if files.clientCA is not None:
        _demandClients(context, files, files.clientCA)
    return context, certificate


def _emptyContext() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Earlier versions "MUST NOT be used" (RFC 8996).
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= (
        ssl.OP_NO_COMPRESSION
        | ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_TICKET
        | ssl.OP_CIPHER_SERVER_PREFERENCE
    )
    context.num_tickets = 0
    return context


def _demandClients(context: ssl.SSLContext, files: TLSFiles, path: str) -> None:
    """Accept only clients with a certificate of the authorities in a file."""
    authorities = b"\n".join(_certificatesIn(files, path)).decode("ascii")
    try:
        context.load_verify_locations(cadata=authorities)
    except ssl.SSLError as error:
        raise ValueError(_noCertificate(path)) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _refusePassphrase(path: str) -> str:
    raise ValueError(
        f"the key in {path!r} needs a passphrase, which a server cannot ask for; "
        f"remove it with openssl pkey -in {path!r}"
    )


def _reasonOf(error: ssl.SSLError, files: TLSFiles) -> str:
    """Why a certificate and its key cannot be used together, in one line."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return (
            f"the key in {files.key!r} does not belong to the first certificate in "
            f"{files.certificate!r}; give the files of one pair"
        )
    reason = (error.reason or error.strerror or str(error)).lower().replace("_", " ")
    return f"OpenSSL refuses {files.certificate!r} or its key in {files.key!r}: {reason}"


#: The kinds of private keys: PKCS #8, and those of the algorithms.
_PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _certificatesIn(files: TLSFiles, path: str) -> list[bytes]:
    """The certificates in a file, without what else is in it."""
    found = _CERTIFICATE.findall(files.contents[path])
    if not found:
        raise ValueError(_noCertificate(path))
    return found


def _noCertificate(path: str) -> str:
    return f"no readable certificate in {path!r}; give a PEM file, with -----BEGIN CERTIFICATE-----"
