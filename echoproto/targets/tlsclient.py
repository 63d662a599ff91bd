"""TLS for clients: the trusted certificates, and the server's name."""

from __future__ import annotations

import ssl

from echoproto.errors import TargetError
from echoproto.targets.resolver import asciiName, isNumeric


def clientContext(caFile: str = "", verify: bool = True) -> ssl.SSLContext:
    """
    The context of connections to servers, TLS 1.2 or later.

    :param caFile: a PEM file with trusted certificates; empty for the system's.
    :param verify: whether a server's certificate must be trusted and for its name.
    :raise TargetError: the file is invalid.
    """
    try:
        context = ssl.create_default_context(cafile=caFile or None)
    except ssl.SSLError as error:
        raise TargetError(f"{caFile}: no certificates in PEM") from error
    except OSError as error:
        raise TargetError(f"{caFile}: {error.strerror}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def serverName(host: str) -> str:
    """
    The name that a client requests (SNI) and a certificate must be for; a numeric address is not
    requested.

    :param host: the server's name, or its numeric address.
    :raise TargetError: the name is invalid.
    """
    if isNumeric(host):
        return host.partition("%")[0]
    # RFC 6066 section 3: the name is sent without the final dot.
    return asciiName(host).rstrip(".")
