"""A name resolver with a few fixed addresses."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from zope.interface import implementer


@implementer(IHostnameResolver, IReactorPluggableNameResolver)
class FakeResolver:
    """
    A reactor and its resolver, which gives all names the same addresses.

    :ivar lookups: name, address types and transport semantics of every lookup.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.lookups: list[Any] = []

    @property
    def nameResolver(self) -> FakeResolver:
        return self

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        self.lookups.append((hostName, addressTypes, transportSemantics))
        resolutionReceiver.resolutionBegan(None)
        for address in self.addresses:
            host, _, scope = address.partition("%")
            found = (
                IPv6Address("UDP", host, portNumber, 0, int(scope or 0))
                if ":" in host
                else IPv4Address("UDP", host, portNumber)
            )
            resolutionReceiver.addressResolved(found)
        resolutionReceiver.resolutionComplete()
