"""A reactor's name resolver that knows a few addresses."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from zope.interface import implementer


@implementer(IHostnameResolver, IReactorPluggableNameResolver)
class FakeResolver:
    """
    A reactor and its resolver; every name has the same addresses.

    :ivar lookups: name, address types and transport semantics of each lookup.
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
            resolutionReceiver.addressResolved(IPv4Address("UDP", address, portNumber))
        resolutionReceiver.resolutionComplete()
