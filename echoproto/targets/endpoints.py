"""
Makes a target that can be measured from a parsed one: resolves its name, makes its endpoint.

It is called before the first probe, so that an unusable target fails once, at the start.
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
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTCP,
    IReactorTime,
    IReactorUNIX,
    IStreamClientEndpoint,
)
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
    :ivar caFile: a PEM file with trusted certificates for TLS; empty for the system's.
    :ivar verify: whether a TLS certificate must be trusted.
    :ivar numeric: whether the target is named by its address in messages and results.
    """

    family: int = socket.AF_UNSPEC
    source: str = ""
    caFile: str = ""
    verify: bool = True
    numeric: bool = False


#: Returns a factory of the same protocols, spoken over TLS.
_WrapTLS = Callable[[IProtocolFactory], IProtocolFactory]


@implementer(IStreamClientEndpoint)
class _TLSEndpoint:
    """An endpoint whose protocols speak TLS; unlike ``wrapClientTLS`` it can skip verification."""

    def __init__(self, endpoint: IStreamClientEndpoint, wrap: _WrapTLS) -> None:
        self._endpoint = endpoint
        self._wrap = wrap

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``; fires with the TLS protocol."""
        return self._endpoint.connect(self._wrap(protocolFactory))


def makeTarget(
    reactor: Any,  # has the interfaces that the target needs
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
    :return: fires with a :class:`.StreamTarget` or :class:`.UDPTarget`; fails with
        ``DNSLookupError``, or ``TargetError`` if the target cannot be used.
    """
    connect = connect or ConnectOptions()
    if target.carrier == "udp":
        return maybeDeferred(_makeUDP, reactor, target, size, connect)
    return maybeDeferred(_makeStream, reactor, target, size, monotonicNs, connect)


def _makeUDP(
    reactor: Any, target: Target, size: int | None, connect: ConnectOptions
) -> Deferred[Any]:
    if size is None:
        raise TargetError(f"{target.text}: verify needs a stream; use ping or conformance")

    def resolved(host: str) -> UDPTarget:
        _checkSource(host, connect)
        maximum = maxDatagram(host)
        if size > maximum:
            raise TargetError(
                f"{target.text}: a datagram to {host} holds at most {maximum} bytes; "
                "use a smaller -s"
            )
        name = _name(target, host, connect)
        return UDPTarget(name, reactor, host, target.port, size, connect.source)

    return resolve(reactor, target.host, connect.family).addCallback(resolved)


def _makeStream(
    reactor: Any,
    target: Target,
    size: int | None,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions,
) -> Any:
    if size is not None and size < 1:
        raise TargetError("an empty probe has no echo on a stream; use udp:// or a -s above 0")
    if target.carrier == "unix":
        endpoint = _unixEndpoint(reactor, target)
        return StreamTarget(target.text, endpoint, size, monotonicNs)
    if target.carrier == "endpoint":
        endpoint = _describedEndpoint(reactor, target.path)
        return StreamTarget(target.text, endpoint, size, monotonicNs)
    wrap = _tlsWrapper(reactor, target.host, connect) if target.carrier == "tls" else None

    def resolved(host: str) -> StreamTarget:
        _checkSource(host, connect)
        endpoint = _tcpEndpoint(reactor, host, target.port, connect.source)
        if wrap is not None:
            endpoint = _TLSEndpoint(endpoint, wrap)
        return StreamTarget(_name(target, host, connect), endpoint, size, monotonicNs, host)

    return resolve(reactor, target.host, connect.family, "TCP").addCallback(resolved)


def _checkSource(host: str, connect: ConnectOptions) -> None:
    if connect.source and isIPv6Address(connect.source) != isIPv6Address(host):
        raise TargetError(
            f"{connect.source} cannot send to {host}: one is IPv4, the other IPv6; -4 or -6 chooses"
        )


def _name(target: Target, host: str, connect: ConnectOptions) -> str:
    return target.called(host) if connect.numeric else target.text


def _unixEndpoint(reactor: IReactorUNIX, target: Target) -> IStreamClientEndpoint:
    if len(os.fsencode(target.path)) > MAX_PATH_BYTES:
        raise TargetError(f"{target.text}: a UNIX socket's path has {MAX_PATH_BYTES} bytes at most")
    endpoint: IStreamClientEndpoint = UNIXClientEndpoint(reactor, target.path)
    return endpoint


def _describedEndpoint(reactor: object, description: str) -> IStreamClientEndpoint:
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, description)
    except Exception as error:  # from the parser of any installed package
        raise TargetError(f"{description}: invalid description for --endpoint: {error}") from error
    return endpoint


def _tcpEndpoint(reactor: IReactorTCP, host: str, port: int, source: str) -> IStreamClientEndpoint:
    kind = TCP6ClientEndpoint if isIPv6Address(host) else TCP4ClientEndpoint
    endpoint: IStreamClientEndpoint = kind(
        reactor, host, port, bindAddress=(source, 0) if source else None
    )
    return endpoint


def _tlsWrapper(reactor: IReactorTime, host: str, connect: ConnectOptions) -> _WrapTLS:
    try:
        from twisted.internet.ssl import (
            CertificateOptions,
            optionsForClientTLS,
            trustRootFromCertificates,
        )
        from twisted.protocols.tls import TLSMemoryBIOFactory
    except ImportError:
        raise TargetError("TLS needs pyOpenSSL: pip install 'echoproto[tls]'") from None
    if not connect.verify:
        options: Any = CertificateOptions(verify=False)
    elif connect.caFile:
        trustRoot = trustRootFromCertificates(_certificates(connect.caFile))
        options = optionsForClientTLS(host, trustRoot)
    else:
        options = optionsForClientTLS(host)
    return lambda factory: TLSMemoryBIOFactory(options, True, factory, reactor)


def _certificates(path: str) -> list[Any]:
    from twisted.internet.ssl import Certificate

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
