"""
How long a connection may take for what, each with the precedent that its default follows.

A value, read by :mod:`echoproto.protocols.stream` and :mod:`echoproto.transports.proxyprotocol` when connections are swept. All in
seconds, kept within two sweeps (:data:`echoproto.protocols.connections.SWEEP_INTERVAL`: one sees the last byte, one that
it was too long ago); ``inf`` for never.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """
    The deadlines of one listener's connections.

    :ivar idle: without a byte either way, until the connection gets our FIN (nginx's stream
        ``proxy_timeout``: 10 min).
    :ivar stall: in which the client's kernel takes nothing of what waits for it, until the
        connection is aborted (nginx ``send_timeout``: 60 s).
    :ivar linger: after our FIN until the client's must have come (nginx ``lingering_time``: 30 s).
    :ivar close: after the client's FIN until all that it is owed must have been taken, however steadily
        it takes it: 15 minutes let 4 kB a second take the 3 MB that buffers hold. Nginx has no such
        limit; without one a client that takes a byte a minute would be held for ever.
    :ivar handshake: for the TLS handshake (nginx's stream ``ssl_handshake_timeout``: 60 s; it is two round trips,
        and strangers hold a descriptor meanwhile).
    :ivar header: for a PROXY header. Proxies send it at once; the specification asks for 3 s or more, so
        that one lost packet is sent again.
    """

    idle: float = 600.0
    stall: float = 60.0
    linger: float = 30.0
    close: float = 900.0
    handshake: float = 10.0
    header: float = 5.0
