"""
How to connect to targets, as one value.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

#: Seconds for which the addresses of a name are used without looking it up again.
LOOKUP_LIFETIME = 1.0


@dataclass(frozen=True)
class ConnectOptions:
    """
    How to connect to targets.

    :ivar family: ``AF_INET`` or ``AF_INET6`` for addresses of that family only.
    :ivar source: the numeric local address; empty for the kernel's choice.
    :ivar caFile: a PEM file with trusted certificates for TLS; empty for the system's.
    :ivar verify: whether a TLS certificate must be trusted.
    :ivar numeric: whether the target is named by its address in messages and results.
    :ivar turn: connections use the addresses of a name in turn, beginning with the one of this
        index; ``None`` to use the first that answers.
    :ivar lookAgain: whether a name is looked up again while connections are opened.
    :ivar certFile: a PEM file with the client's TLS certificate, and its chain; empty for none.
    :ivar keyFile: a PEM file with its key; empty if that is in ``certFile``.
    :ivar serverName: the TLS server name to request and verify; empty for that of the target.
    :ivar alpn: the application protocols to offer over TLS, the preferred one first.
    :ivar interface: the network interface or VRF to use; empty for the kernel's choice.
    :ivar tos: the type of service or traffic class of sent packets; ``None`` for the kernel's.
    :ivar ttl: the time to live or hop limit of sent packets; ``None`` for the kernel's.
    :ivar dontFragment: whether sent packets must not be fragmented.
    :ivar lookupLifetime: seconds for which a name is not looked up again.
    """

    family: int = socket.AF_UNSPEC
    source: str = ""
    caFile: str = ""
    verify: bool = True
    numeric: bool = False
    turn: int | None = None
    lookAgain: bool = True
    certFile: str = ""
    keyFile: str = ""
    serverName: str = ""
    alpn: tuple[str, ...] = ()
    interface: str = ""
    tos: int | None = None
    ttl: int | None = None
    dontFragment: bool = False
    lookupLifetime: float = LOOKUP_LIFETIME
