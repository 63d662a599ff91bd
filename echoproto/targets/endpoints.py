"""
From the text of a target to a target that can be measured: resolves names, makes endpoints.

Called before the first probe, so that an unusable target fails once, at the start.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer

from echoproto.addresses import maxDatagram
from echoproto.errors import TargetError
from echoproto.targets.resolver import resolve
from echoproto.targets.stream import StreamTarget
from echoproto.targets.target import Target
from echoproto.targets.udp import UDPTarget

#: Maximum bytes of the path of a UNIX socket, without the final zero (unix(7)).
MAX_PATH_BYTES = 107


@dataclass(frozen=True)
class ConnectOptions:
    """
    How to connect to targets.

    :ivar family: ``AF_INET`` or ``AF_INET6`` for addresses of that family only.
    :ivar source: the numeric local address; empty for the kernel's choice.
    :ivar trust: a PEM file with trusted certificates for TLS; empty for the system's.
    :ivar verify: whether a TLS certificate must be trusted.
    :ivar numeric: whether the target is named by its address.
    """

    family: int = socket.AF_UNSPEC
    source: str = ""
    trust: str = ""
    verify: bool = True
    numeric: bool = False


@implementer(IStreamClientEndpoint)
class _Secured:
    """An endpoint whose protocols speak TLS; unlike ``wrapClientTLS`` it can skip verification."""

    def __init__(self, endpoint: IStreamClientEndpoint, secure: Callable[[Any], Any]) -> None:
        self._endpoint = endpoint
        self._secure = secure

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``; fires with the TLS protocol."""
        return self._endpoint.connect(self._secure(protocolFactory))


def makeTarget(
    reactor: Any,
    target: Target,
    size: int | None,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions | None = None,
) -> Deferred[Any]:
    """
    Make a target that can be measured.

    :param reactor: has TCP, UDP, UNIX sockets and a resolver, as far as the target needs them.
    :param size: bytes of a probe; ``None`` for an endless stream.
    :param monotonicNs: the monotonic time in nanoseconds.
    :param connect: how to connect.
    :return: fires with an :class:`~echoproto.targets.interfaces.ITarget`; fails with
        ``DNSLookupError``, or ``TargetError`` if the target cannot be used.
    """
    return maybeDeferred(
        _find,
        reactor,
        target,
        size,
        monotonicNs,
        connect if connect is not None else ConnectOptions(),
    )


def _find(
    reactor: Any,
    target: Target,
    size: int | None,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions,
) -> Any:
    if target.carrier == "udp":
        if size is None:
            raise TargetError(f"{target.text}: verify needs a stream; use ping or conformance")

        def ready(host: str) -> UDPTarget:
            _checkSource(host, connect)
            most = maxDatagram(host)
            if size > most:
                raise TargetError(
                    f"{target.text}: a datagram to {host} holds at most {most} bytes; use a smaller -s"
                )
            name = _name(target, host, connect)
            return UDPTarget(name, reactor, host, target.port, size, connect.source)

        return resolve(reactor, target.host, connect.family).addCallback(ready)
    if size is not None and size < 1:
        raise TargetError("an empty probe has no echo on a stream; use udp:// or a -s above 0")
    if target.carrier == "unix":
        if len(os.fsencode(target.path)) > MAX_PATH_BYTES:
            raise TargetError(
                f"{target.text}: a UNIX socket's path has {MAX_PATH_BYTES} bytes at most"
            )
        endpoint: Any = UNIXClientEndpoint(reactor, target.path)
        return StreamTarget(target.text, endpoint, size, monotonicNs)
    if target.carrier == "endpoint":
        return StreamTarget(target.text, _described(reactor, target.path), size, monotonicNs)
    secure = _security(reactor, target.host, connect) if target.carrier == "tls" else None

    def made(host: str) -> StreamTarget:
        _checkSource(host, connect)
        kind = TCP6ClientEndpoint if isIPv6Address(host) else TCP4ClientEndpoint
        source = (connect.source, 0) if connect.source else None
        reached: Any = kind(reactor, host, target.port, bindAddress=source)
        if secure is not None:
            reached = _Secured(reached, secure)
        return StreamTarget(_name(target, host, connect), reached, size, monotonicNs, host)

    return resolve(reactor, target.host, connect.family, "TCP").addCallback(made)


def _checkSource(host: str, connect: ConnectOptions) -> None:
    if connect.source and isIPv6Address(connect.source) != isIPv6Address(host):
        raise TargetError(
            f"{connect.source} cannot send to {host}: one is IPv4, the other IPv6; -4 or -6 chooses"
        )


def _name(target: Target, host: str, connect: ConnectOptions) -> str:
    return target.called(host) if connect.numeric else target.text


def _described(reactor: Any, description: str) -> Any:
    try:
        return clientFromString(reactor, description)
    except Exception as error:  # from the parser of any installed package
        raise TargetError(f"{description}: invalid description for --endpoint: {error}") from error


def _security(reactor: Any, host: str, connect: ConnectOptions) -> Callable[[Any], Any]:
    try:
        from twisted.internet.ssl import (
            Certificate,
            CertificateOptions,
            optionsForClientTLS,
            trustRootFromCertificates,
        )
        from twisted.protocols.tls import TLSMemoryBIOFactory
    except ImportError:
        raise TargetError("TLS needs pyOpenSSL: pip install 'echoproto[tls]'") from None
    if not connect.verify:
        options: Any = CertificateOptions(verify=False)
    elif connect.trust:
        options = optionsForClientTLS(
            host, trustRootFromCertificates(_certificates(connect.trust, Certificate))
        )
    else:
        options = optionsForClientTLS(host)
    return lambda factory: TLSMemoryBIOFactory(options, True, factory, reactor)


def _certificates(path: str, Certificate: Any) -> list[Any]:
    end = b"-----END CERTIFICATE-----"
    try:
        pieces = Path(path).read_bytes().split(end)[:-1]
        found = [Certificate.loadPEM(piece + end) for piece in pieces]
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except Exception as error:  # OpenSSL's own
        raise TargetError(f"{path}: no certificates in PEM") from error
    if not found:
        raise TargetError(f"{path}: no certificates in PEM")
    return found
