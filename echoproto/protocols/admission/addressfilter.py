"""Lists of networks that are allowed or denied."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from echoproto.addresses import unmapped

#: The prefix of IPv4 addresses in IPv6 (RFC 4291 section 2.5.5.2).
_MAPPED = IPv6Network("::ffff:0:0/96")


def parseNetwork(text: str) -> IPv4Network | IPv6Network:
    """
    A network: ``192.0.2.0/24``, ``2001:db8::/32`` or one address; bits behind the prefix are
    ignored.

    :raise ValueError: the text is invalid; the message is one line.
    """
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a network such as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1"
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        address = IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return IPv4Network((address, network.prefixlen - 96))
    return network


class AddressFilter:
    """
    Allows sources by lists of networks: the allowed ones, or all if none is listed, except the
    denied ones.

    :param allow: networks as text; none for all sources.
    :param deny: networks as text; stronger than ``allow``.
    :raise ValueError: a network is invalid.
    """

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        self._allow = [parseNetwork(text) for text in allow]
        self._deny = [parseNetwork(text) for text in deny]

    def permits(self, host: str) -> bool:
        """Whether the numeric address ``host`` is allowed."""
        # Usually no network is listed, and parsing the address would cost a tenth of a connection.
        if not self._deny and not self._allow:
            return True
        address = unmapped(host)
        if any(address in network for network in self._deny):
            return False
        return not self._allow or any(address in network for network in self._allow)
