"""Host names: their form in DNS, and their addresses by the reactor's resolver."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import idna
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from zope.interface import implementer

from echoproto.errors import TargetError

_TYPES: dict[int, Sequence[type[IAddress]] | None] = {
    socket.AF_INET: [IPv4Address],
    socket.AF_INET6: [IPv6Address],
    socket.AF_UNSPEC: None,
}
_WORDS = {socket.AF_INET: "IPv4 ", socket.AF_INET6: "IPv6 ", socket.AF_UNSPEC: ""}

#: Maximum lengths of a host name and of its labels (RFC 1035 section 2.3.4), without the final dot.
MAX_NAME_LENGTH = 253
MAX_LABEL_LENGTH = 63


@implementer(IResolutionReceiver)
class _AddressCollector:
    """Collects the addresses of a name, without duplicates."""

    def __init__(self, missing: str) -> None:
        self.hosts: Deferred[Sequence[str]] = Deferred()
        self._found: dict[str, None] = {}
        self._missing = missing

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See ``IResolutionReceiver``."""

    def addressResolved(self, address: IAddress) -> None:
        """See ``IResolutionReceiver``."""
        found: Any = address
        # The resolver separates a link-local address from its scope.
        scope = getattr(found, "scopeID", 0)
        isComplete = not scope or "%" in found.host
        self._found[_reachable(found.host if isComplete else f"{found.host}%{scope}")] = None

    def resolutionComplete(self) -> None:
        """See ``IResolutionReceiver``."""
        if self._found:
            self.hosts.callback(tuple(self._found))
        else:
            self.hosts.errback(DNSLookupError(self._missing))


def _reachable(host: str) -> str:
    """An IPv4-mapped address as IPv4: IPv6 sockets of UDP are for IPv6 only."""
    mapped = getattr(ip_address(host.partition("%")[0]), "ipv4_mapped", None)
    return host if mapped is None else str(mapped)


def asciiName(host: str) -> str:
    """
    A host name as DNS has it: international labels by IDNA 2008, with the mappings of UTS 46.

    Labels in ASCII may have underscores, as names of services and containers have.

    :raise TargetError: it is not a host name.
    """
    try:
        labels = idna.uts46_remap(host, False).split(".") if not host.isascii() else host.split(".")
        encoded = [label if label.isascii() else idna.alabel(label).decode() for label in labels]
    except (UnicodeError, ValueError) as error:
        raise TargetError(f"{host!r}: invalid host name: {error}") from None
    name = ".".join(encoded)
    lengths = [len(label) for label in name.removesuffix(".").split(".")]
    if min(lengths) < 1 or max(lengths) > MAX_LABEL_LENGTH or len(name) > MAX_NAME_LENGTH + 1:
        raise TargetError(
            f"{host[:MAX_NAME_LENGTH]!r}: invalid host name: an empty or a too long label"
        )
    return name


def isNumeric(host: str) -> bool:
    """Whether a host is an address, which needs no lookup."""
    return isIPAddress(host) or isIPv6Address(host)


def resolve(
    reactor: IReactorPluggableNameResolver,
    host: str,
    family: int = socket.AF_UNSPEC,
    semantics: str = "UDP",
) -> Deferred[Sequence[str]]:
    """
    Find the addresses of a host.

    :param reactor: has a resolver.
    :param host: a name, or a numeric address, which is returned, an IPv4-mapped one as IPv4.
    :param family: ``AF_INET`` or ``AF_INET6`` for addresses of that family only.
    :param semantics: ``TCP`` or ``UDP``.
    :return: fires with numeric addresses in the order of the resolver (RFC 6724); fails with
        ``DNSLookupError``, or ``TargetError`` for an invalid name or a numeric address of the other
        family.
    """
    words = _WORDS[socket.AddressFamily(family)]
    if isNumeric(host):
        host = _reachable(host)
        actual = socket.AF_INET6 if isIPv6Address(host) else socket.AF_INET
        if family in (socket.AF_UNSPEC, actual):
            return succeed((host,))
        return fail(TargetError(f"{host} is not an {words}address"))
    try:
        name = asciiName(host)
    except TargetError as error:
        # The resolver would never answer.
        return fail(error)
    missing = f"no {words}address of host {host}" if words else f"no such host: {host}"
    collector = _AddressCollector(missing)
    reactor.nameResolver.resolveHostName(
        collector,
        name,
        addressTypes=_TYPES[socket.AddressFamily(family)],
        transportSemantics=semantics,
    )
    return collector.hosts
