"""TLS for clients: the trusted certificates, and the server's name."""

from __future__ import annotations

import ssl

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.resolver import asciiName, isNumeric
from echoproto.errors import TargetError
from echoproto.text.untrusted import readRegularFile

#: Bytes of a file with certificates or a key, at most.
MAX_PEM_SIZE = 1 << 24


def clientContext(connect: ConnectOptions = ConnectOptions()) -> ssl.SSLContext:
    """
    The context of connections to servers, TLS 1.2 or later.

    :param connect: the trusted certificates, whether a server's certificate must be trusted and
        for its name, the client's certificate and key, and the application protocols.
    :raise TargetError: a file is invalid.
    """
    if connect.caFile:
        _checkReadable("--ca", connect.caFile)
    try:
        context = ssl.create_default_context(cafile=connect.caFile or None)
    except ssl.SSLError as error:
        raise TargetError(f"--ca {connect.caFile}: no certificates in PEM") from error
    if connect.certFile:
        _loadCertificate(context, connect.certFile, connect.keyFile)
    if connect.alpn:
        context.set_alpn_protocols(connect.alpn)
    if not connect.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _checkReadable(option: str, path: str) -> None:
    """Refuse a file for which OpenSSL would wait, or which it would read without an end."""
    try:
        readRegularFile(path, MAX_PEM_SIZE)
    except OSError as error:
        raise TargetError(f"{option} {path}: {error.strerror}") from error


def _loadCertificate(context: ssl.SSLContext, certFile: str, keyFile: str) -> None:
    cert, key = f"--cert {certFile}", f"--key {keyFile}" if keyFile else f"--cert {certFile}"
    _checkReadable("--cert", certFile)
    if keyFile:
        _checkReadable("--key", keyFile)
    wantedPassword: list[bool] = []

    def password() -> str:
        # Without this function OpenSSL would prompt for one.
        wantedPassword.append(True)
        return ""

    try:
        context.load_cert_chain(certFile, keyFile or None, password)
    except ssl.SSLError as error:
        if wantedPassword:
            raise TargetError(f"{key}: the key needs a password; use one without") from error
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TargetError(f"{key}: the key is not that of {cert}") from error
        raise TargetError(
            f"{', '.join(dict.fromkeys((cert, key)))}: no certificate and key in PEM"
        ) from error


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
