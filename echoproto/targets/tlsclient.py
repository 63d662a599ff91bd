"""
TLS for clients: connections that name the server (SNI) and check that its certificate is for it.

Twisted's ``optionsForClientTLS`` refuses names with an underscore, and names no server if
certificates are not verified. Needs the extra ``tls``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL.SSL import VERIFY_FAIL_IF_NO_PEER_CERT, VERIFY_PEER, Connection
from service_identity import VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.errors import TargetError
from echoproto.targets.resolver import asciiName, isNumeric


@implementer(IOpenSSLClientConnectionCreator)
class ClientConnections:
    """
    Makes the connections to one server.

    :param host: its name, or its numeric address.
    :param caFile: a PEM file with trusted certificates; empty for the system's.
    :param verify: whether its certificate must be trusted and for this host.
    :raise TargetError: the host name or the file is invalid.
    """

    def __init__(self, host: str, caFile: str = "", verify: bool = True) -> None:
        self._isNumeric = isNumeric(host)
        # RFC 6066 section 3: the name is sent without the final dot.
        self._name = host.partition("%")[0] if self._isNumeric else asciiName(host).rstrip(".")
        self._verify = verify
        self._service = IPAddress_ID(self._name) if self._isNumeric else DNS_ID(self._name)
        trusted: Any = trustRootFromCertificates(_certificates(caFile)) if caFile else None
        options: Any = CertificateOptions(
            **({"trustRoot": trusted or platformTrust()} if verify else {"verify": False})
        )
        self._context = options.getContext()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        """See ``IOpenSSLClientConnectionCreator``."""
        connection = Connection(self._context, None)
        if not self._isNumeric:
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        if self._verify:
            check = _HostCheck(tlsProtocol, self._service)
            connection.set_verify(VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, check.verified)
        return connection


class _HostCheck:
    """The check of one connection's certificates, after OpenSSL's own."""

    def __init__(self, protocol: Any, service: DNS_ID | IPAddress_ID) -> None:
        self._protocol = protocol
        self._service = service

    # Any: certificates of pyOpenSSL.
    def verified(
        self, connection: Connection, certificate: Any, error: int, depth: int, ok: int
    ) -> bool:
        """Called by OpenSSL with each certificate of the chain; the last is the server's."""
        if depth:
            return bool(ok)
        try:
            verify_service_identity(extract_patterns(certificate), [self._service], [])
        except VerificationError:
            if ok:
                self._protocol.failVerification(Failure())
            return False
        return bool(ok)


def _certificates(path: str) -> list[Any]:
    end = b"-----END CERTIFICATE-----"
    try:
        pieces = Path(path).read_bytes().split(end)[:-1]
        certificates = [Certificate.loadPEM(piece + end) for piece in pieces]
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except Exception as error:  # OpenSSL's own
        raise TargetError(f"{path}: no certificates in PEM") from error
    if not certificates:
        raise TargetError(f"{path}: no certificates in PEM")
    return certificates
