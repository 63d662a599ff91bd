"""A resolver for tests."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer


@implementer(IHostnameResolver)
class Names:
    """A reactor that knows these addresses of every name, and which were asked for."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[Any] = []

    @property
    def nameResolver(self) -> Names:
        return self

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Any:
        self.asked.append((hostName, addressTypes, transportSemantics))
        resolutionReceiver.resolutionBegan(None)
        for address in self.addresses:
            resolutionReceiver.addressResolved(IPv4Address("UDP", address, portNumber))
        resolutionReceiver.resolutionComplete()
