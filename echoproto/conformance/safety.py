"""
Of whom risky checks may be asked without more ado: machines on loopback and in private networks. Pure.

A datagram that an echo answers to another echo goes to and fro for ever (CERT CA-1996-01), and a crowd of connections is an
attack where nobody expects it. Neither is for a server of someone else's.
"""

from __future__ import annotations

from echoproto.addresses import AddressFilter
from echoproto.errors import TargetError
from echoproto.targets.target import Target

#: Loopback, private (RFC 1918, RFC 4193) and link-local (RFC 3927, RFC 4291). Not what a provider shares among its customers
#: (RFC 6598).
_PRIVATE = AddressFilter(
    allow=(
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1", "fc00::/7", "fe80::/10"),
    )
)


def isPrivate(host: str) -> bool:
    """
    Whether a numeric address is of this machine or of a private network.

    :param host: the address; an IPv4 address mapped into IPv6 is that address.
    """
    return _PRIVATE.permits(host)


def checkRisk(target: Target, host: str) -> None:
    """
    Whether risky checks may be asked of a target that nobody has said to own.

    :param host: its numeric address; empty where it is not known.
    :raise TargetError: they may not.
    """
    if target.carrier == "unix" or (host and isPrivate(host)):
        return
    what = f"{host} is no private address" if host else "where it leads is not known"
    raise TargetError(f"{target.text}: {what}; risk it with --yes-i-own-it where it is yours")
