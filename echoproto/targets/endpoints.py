"""
From what is written to what can be asked: looks names up, and makes endpoints.

Called before the first probe: what cannot be found fails here, once.
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

from echoproto.errors import TargetError
from echoproto.targets.resolver import resolve
from echoproto.targets.stream import StreamTarget
from echoproto.targets.target import Target
from echoproto.targets.udp import UDPTarget

#: Bytes of the longest datagram, by whether it goes over IPv6: 65,535 less the headers (RFC 768, RFC 791, RFC 8200).
LONGEST_DATAGRAM = {False: 65_507, True: 65_527}

#: Bytes of the path of a UNIX socket, without the one that ends it (unix(7)).
LONGEST_PATH = 107


@dataclass(frozen=True)
class ConnectOptions:
    """
    How to get there.

    :ivar family: ``AF_INET`` or ``AF_INET6`` for addresses of that family only.
    :ivar source: the numeric address to send from; empty for the kernel's choice.
    :ivar trust: a PEM file with the certificates that are trusted over TLS; empty for the system's.
    :ivar verify: whether a TLS certificate must be trusted at all.
    :ivar numeric: whether the target is called by its address.
    """

    family: int = socket.AF_UNSPEC
    source: str = ""
    trust: str = ""
    verify: bool = True
    numeric: bool = False


@implementer(IStreamClientEndpoint)
class _Secured:
    """An endpoint whose protocols speak TLS; unlike ``wrapClientTLS`` with one that verifies nothing, too."""

    def __init__(self, endpoint: IStreamClientEndpoint, secure: Callable[[Any], Any]) -> None:
        self._endpoint = endpoint
        self._secure = secure

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        """See ``IStreamClientEndpoint``; fires with what speaks TLS for the protocol."""
        return self._endpoint.connect(self._secure(protocolFactory))


def makeTarget(
    reactor: Any,
    target: Target,
    size: int | None,
    now: Callable[[], int],
    way: ConnectOptions | None = None,
) -> Deferred[Any]:
    """
    Make ready to probe.

    :param reactor: has TCP, UDP, UNIX sockets and a resolver, as far as the target needs them.
    :param size: bytes of a probe; ``None`` for a stream without an end.
    :param now: the time in nanoseconds, which never goes back.
    :return: fires with an :class:`~echoproto.targets.interfaces.ITarget`; fails with ``DNSLookupError``, or ``TargetError`` where
        the target cannot be asked so.
    """
    return maybeDeferred(
        _find, reactor, target, size, now, way if way is not None else ConnectOptions()
    )


def _find(
    reactor: Any, target: Target, size: int | None, now: Callable[[], int], way: ConnectOptions
) -> Any:
    if target.carrier == "udp":
        if size is None:
            raise TargetError(
                f"{target.text}: that needs a stream; ping probes datagrams, and echoproto conformance checks them"
            )

        def ready(host: str) -> UDPTarget:
            _checkSource(host, way)
            most = LONGEST_DATAGRAM[isIPv6Address(host)]
            if size > most:
                raise TargetError(
                    f"{target.text}: a datagram to {host} holds {most} bytes at most; give -s less"
                )
            name = _name(target, host, way)
            return UDPTarget(name, reactor, host, target.port, size, way.source)

        return resolve(reactor, target.host, way.family).addCallback(ready)
    if size is not None and size < 1:
        raise TargetError(
            "an empty probe has no echo on a stream; ask udp:// or give -s a number above 0"
        )
    if target.carrier == "unix":
        if len(os.fsencode(target.path)) > LONGEST_PATH:
            raise TargetError(
                f"{target.text}: a UNIX socket's path has {LONGEST_PATH} bytes at most"
            )
        endpoint: Any = UNIXClientEndpoint(reactor, target.path)
        return StreamTarget(target.text, endpoint, size, now)
    if target.carrier == "endpoint":
        return StreamTarget(target.text, _described(reactor, target.path), size, now)
    secure = _security(reactor, target.host, way) if target.carrier == "tls" else None

    def made(host: str) -> StreamTarget:
        _checkSource(host, way)
        kind = TCP6ClientEndpoint if isIPv6Address(host) else TCP4ClientEndpoint
        source = (way.source, 0) if way.source else None
        reached: Any = kind(reactor, host, target.port, bindAddress=source)
        if secure is not None:
            reached = _Secured(reached, secure)
        return StreamTarget(_name(target, host, way), reached, size, now, host)

    return resolve(reactor, target.host, way.family, "TCP").addCallback(made)


def _checkSource(host: str, way: ConnectOptions) -> None:
    if way.source and isIPv6Address(way.source) != isIPv6Address(host):
        raise TargetError(
            f"{way.source} cannot send to {host}: one is IPv4, the other IPv6; -4 or -6 chooses"
        )


def _name(target: Target, host: str, way: ConnectOptions) -> str:
    return target.called(host) if way.numeric else target.text


def _described(reactor: Any, description: str) -> Any:
    try:
        return clientFromString(reactor, description)
    except Exception as error:  # a parser of any package that is installed
        raise TargetError(
            f"{description}: --endpoint takes no such description: {error}"
        ) from error


def _security(reactor: Any, host: str, way: ConnectOptions) -> Callable[[Any], Any]:
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
    if not way.verify:
        options: Any = CertificateOptions(verify=False)
    elif way.trust:
        options = optionsForClientTLS(
            host, trustRootFromCertificates(_certificates(way.trust, Certificate))
        )
    else:
        options = optionsForClientTLS(host)
    return lambda factory: TLSMemoryBIOFactory(options, True, factory, reactor)


def _certificates(path: str, Certificate: Any) -> list[Any]:
    end = b"-----END CERTIFICATE-----"
    try:
        pieces = Path(path).read_bytes().split(end)[:-1]
        found = [Certificate.loadPEM(each + end) for each in pieces]
    except OSError as error:
        raise TargetError(f"{path}: {error.strerror}") from error
    except Exception as error:  # OpenSSL's own
        raise TargetError(f"{path}: no certificates in PEM") from error
    if not found:
        raise TargetError(f"{path}: no certificates in PEM")
    return found
