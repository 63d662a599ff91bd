"""
The servers against which risky checks may run without the owner's consent: those on loopback and in
private networks.

A datagram that one echo service answers to another one goes to and fro for ever (CERT CA-1996-01),
and a flood of connections is an attack on an unprepared server.
"""

from __future__ import annotations

from echoproto.client.targets.target import Target
from echoproto.errors import TargetError
from echoproto.protocols.admission.addressfilter import AddressFilter

#: Loopback, private (RFC 1918, RFC 4193) and link-local (RFC 3927, RFC 4291) networks. Not the
#: addresses that a provider shares among its customers (RFC 6598).
_PRIVATE = AddressFilter(
    allow=(
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1", "fc00::/7", "fe80::/10"),
    )
)


def isPrivate(host: str) -> bool:
    """
    Whether a numeric address belongs to this machine or to a private network.

    :param host: the address; an IPv4-mapped address counts as IPv4.
    """
    return _PRIVATE.permits(host)


def checkRisk(target: Target, host: str) -> None:
    """
    Check that risky checks may run against a target without consent.

    :param host: its numeric address; empty if it is unknown.
    :raise TargetError: they may not.
    """
    if target.carrier == "unix" or (host and isPrivate(host)):
        return
    where = f"the public address {host}" if host else "an unknown address"
    raise TargetError(
        f"{target.text}: refusing to run risky checks against {where}; "
        "pass --yes-i-own-it if the server is yours"
    )
