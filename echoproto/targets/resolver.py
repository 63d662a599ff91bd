"""Resolves a host name with the reactor's resolver."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

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


@implementer(IResolutionReceiver)
class _FirstAddress:
    """Keeps the first address of a name."""

    def __init__(self, missing: str) -> None:
        self.host: Deferred[str] = Deferred()
        self._missing = missing

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See ``IResolutionReceiver``."""

    def addressResolved(self, address: IAddress) -> None:
        """See ``IResolutionReceiver``."""
        if not self.host.called:
            found: Any = address
            self.host.callback(found.host)

    def resolutionComplete(self) -> None:
        """See ``IResolutionReceiver``."""
        if not self.host.called:
            self.host.errback(DNSLookupError(self._missing))


def resolve(
    reactor: IReactorPluggableNameResolver,
    host: str,
    family: int = socket.AF_UNSPEC,
    semantics: str = "UDP",
) -> Deferred[str]:
    """
    Find the first address of a host.

    :param reactor: has a resolver.
    :param host: a name, or a numeric address, which is returned.
    :param family: ``AF_INET`` or ``AF_INET6`` for addresses of that family only.
    :param semantics: ``TCP`` or ``UDP``.
    :return: fires with a numeric address; fails with ``DNSLookupError``, or ``TargetError`` for an
        invalid name or a numeric address of the other family.
    """
    missing = f"no such host: {host}"
    numeric = {socket.AF_INET: isIPAddress(host), socket.AF_INET6: isIPv6Address(host)}
    if any(numeric.values()):
        if numeric.get(socket.AddressFamily(family), True):
            return succeed(host)
        return fail(TargetError(f"{host} is not an {_WORDS[socket.AddressFamily(family)]}address"))
    try:
        host.encode("idna")
    except UnicodeError as error:
        # The resolver would never answer.
        return fail(TargetError(f"{host!r}: invalid host name: {error.__cause__ or error}"))
    if family != socket.AF_UNSPEC:
        missing = f"no {_WORDS[socket.AddressFamily(family)]}address of host {host}"
    first = _FirstAddress(missing)
    reactor.nameResolver.resolveHostName(
        first, host, addressTypes=_TYPES[socket.AddressFamily(family)], transportSemantics=semantics
    )
    return first.host
