"""
Makes a target that can be measured from a parsed one: resolves its name, makes its endpoint.

It is called before the first probe, so that an unusable target fails once, at the start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from socket import if_nametoindex
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IProtocolFactory,
    IReactorTCP,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.clientsocket import (
    OptionsReactor,
    checkClientOptions,
    hasClientOptions,
)
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.host import HostEndpoint, ResolvedHost, RotatedHost
from echoproto.client.targets.resolver import isNumeric, resolve
from echoproto.client.targets.stream import StreamTarget
from echoproto.client.targets.target import Target
from echoproto.client.targets.udp import UDPTarget
from echoproto.client.targets.unixendpoint import PatientUNIXEndpoint
from echoproto.errors import TargetError
from echoproto.protocols.datagram import maxDatagram
from echoproto.text.units import SECOND, seconds

#: Maximum bytes of the path of a UNIX socket, without the final zero (unix(7)).
MAX_PATH_BYTES = 107


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
    reactor: IReactorTime,
    target: Target,
    size: int | None,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions = ConnectOptions(),
    lookupTime: int | None = None,
) -> Deferred[Any]:
    """
    Make a target that can be measured.

    :param reactor: has TCP, UDP, UNIX sockets and a resolver, as far as the target needs them.
    :param size: bytes of a probe; ``None`` for an endless stream.
    :param monotonicNs: the monotonic time in nanoseconds.
    :param connect: how to connect.
    :param lookupTime: time limit of the name lookup, in nanoseconds; ``None`` for the resolver's.
    :return: fires with a :class:`.StreamTarget` or :class:`.UDPTarget`; fails with
        ``DNSLookupError``, or ``TargetError`` if the target cannot be used.
    """
    if target.carrier == "udp":
        making = maybeDeferred(_makeUDP, reactor, target, size, connect)
    else:
        making = maybeDeferred(_makeStream, reactor, target, size, monotonicNs, connect)
    if lookupTime is None or making.called:
        return making

    def tooSlow(result: object, _: float) -> object:
        return Failure(DNSLookupError(f"no address of {target.host} in {seconds(lookupTime)}"))

    return making.addTimeout(lookupTime / SECOND, reactor, tooSlow)


def _makeUDP(
    reactor: Any, target: Target, size: int | None, connect: ConnectOptions
) -> Deferred[Any]:
    if size is None:
        raise TargetError(f"{target.text}: datagrams need a size")

    def resolved(host: ResolvedHost) -> UDPTarget:
        maximum = maxDatagram(host.address)
        if size > maximum:
            raise TargetError(
                f"{target.text}: a datagram to {host.address} holds at most {maximum} bytes; "
                "use a smaller -s"
            )
        rename = target.called if connect.numeric else None
        return UDPTarget(target.text, reactor, host, target.port, size, connect, rename)

    return _lookUp(reactor, target, connect, "UDP").addCallback(resolved)


def _makeStream(
    reactor: Any,
    target: Target,
    size: int | None,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions,
) -> Any:
    if size is not None and size < 1:
        raise TargetError("an empty probe has no echo on a stream; use udp:// or a -s above 0")
    if target.carrier in ("unix", "endpoint"):
        endpoint = _pathEndpoint(reactor, target, connect)
        return StreamTarget(target.text, endpoint, size, monotonicNs)
    wrap = _tlsWrapper(reactor, target.host, connect) if target.carrier == "tls" else None

    def endpointTo(address: str) -> IStreamClientEndpoint:
        return _tcpEndpoint(reactor, address, target.port, connect)

    def resolved(host: ResolvedHost) -> StreamTarget:
        endpoint: IStreamClientEndpoint = HostEndpoint(reactor, host, endpointTo)
        if wrap is not None:
            endpoint = _TLSEndpoint(endpoint, wrap)
        rename = target.called if connect.numeric else None
        return StreamTarget(target.text, endpoint, size, monotonicNs, host, rename)

    return _lookUp(reactor, target, connect, "TCP").addCallback(resolved)


def _lookUp(
    reactor: Any, target: Target, connect: ConnectOptions, semantics: str
) -> Deferred[ResolvedHost]:
    """The host of a target, with those of its addresses to which the source can send."""

    def lookUp() -> Deferred[Sequence[str]]:
        found = resolve(reactor, target.host, connect.family, semantics)
        return found.addCallback(_reachable, connect.source)

    def resolved(addresses: Sequence[str]) -> ResolvedHost:
        _checkScopes(addresses)
        checkClientOptions(addresses, connect)
        if connect.turn is None:
            return ResolvedHost(addresses, reactor, again, connect.lookupLifetime)
        return RotatedHost(addresses, reactor, again, turn=connect.turn)

    again = lookUp if connect.lookAgain and not isNumeric(target.host) else None
    return lookUp().addCallback(resolved)


def _checkScopes(addresses: Sequence[str]) -> None:
    """Refuse addresses such as ``fe80::1%eth9`` whose interface does not exist."""
    for address in addresses:
        _, _, scope = address.partition("%")
        if scope and not scope.isdigit():
            try:
                if_nametoindex(scope)
            except OSError:
                raise TargetError(f"{address}: no such interface; 'ip link' lists them") from None


def _reachable(addresses: Sequence[str], source: str) -> Sequence[str]:
    if not source:
        return addresses
    isIPv6 = isIPv6Address(source)
    same = [address for address in addresses if isIPv6Address(address) == isIPv6]
    if not same:
        raise TargetError(
            f"{source} cannot send to {addresses[0]}: one is IPv4, the other IPv6; -4 or -6 chooses"
        )
    return same


def _pathEndpoint(reactor: Any, target: Target, connect: ConnectOptions) -> IStreamClientEndpoint:
    """The endpoint of a UNIX socket, or of a description of Twisted."""
    if hasClientOptions(connect):
        raise TargetError(
            f"{target.text}: --interface, --tos, --ttl and --dont-fragment need tcp, udp or tls"
        )
    if target.carrier == "unix" and len(os.fsencode(target.path)) > MAX_PATH_BYTES:
        raise TargetError(f"{target.text}: a UNIX socket's path has {MAX_PATH_BYTES} bytes at most")
    endpoint: IStreamClientEndpoint = (
        UNIXClientEndpoint(reactor, target.path)
        if target.carrier == "unix"
        else _describedEndpoint(reactor, target.path)
    )
    if isinstance(endpoint, UNIXClientEndpoint):
        return PatientUNIXEndpoint(reactor, endpoint)
    return endpoint


def _describedEndpoint(reactor: object, description: str) -> IStreamClientEndpoint:
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, description)
    except Exception as error:  # from the parser of any installed package
        reason = f": {error}"
        if isinstance(error, TypeError):
            # Of an argument that is missing, the parser names only a method of Twisted.
            reason = ""
        elif isinstance(error, RuntimeError):
            # Of its generator, which looks for the character after a backslash.
            reason = ": it ends with a backslash"
        raise TargetError(
            f"{description}: invalid description for --endpoint{reason} "
            "(examples: tcp:lab1:7, tls:lab1:7, unix:/run/echo)"
        ) from error
    return endpoint


def _tcpEndpoint(
    reactor: IReactorTCP, host: str, port: int, connect: ConnectOptions
) -> IStreamClientEndpoint:
    kind = TCP6ClientEndpoint if isIPv6Address(host) else TCP4ClientEndpoint
    connecting = OptionsReactor(reactor, connect) if hasClientOptions(connect) else reactor
    endpoint: IStreamClientEndpoint = kind(
        connecting, host, port, bindAddress=(connect.source, 0) if connect.source else None
    )
    return endpoint


def _tlsWrapper(reactor: IReactorTime, host: str, connect: ConnectOptions) -> _WrapTLS:
    # Imported here: a client without TLS does not need it.
    from echoproto.client.targets.tlsclient import clientContext, serverName
    from echoproto.transports.tls import TLSStreamFactory

    name = serverName(connect.serverName or host)
    context = clientContext(connect)
    return lambda factory: TLSStreamFactory(lambda: context, factory, reactor, name)
