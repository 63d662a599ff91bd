"""
The timeouts of a connection, each with the precedent that its default follows.

In seconds, kept within two checks (:data:`echoproto.protocols.connections.CHECK_INTERVAL`); ``inf``
means never. Used by :mod:`echoproto.protocols.lifecycle` and
:mod:`echoproto.transports.proxyprotocol`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """
    The timeouts of one listener's connections.

    :ivar idle: no data either way: the connection gets our FIN (nginx's stream ``proxy_timeout``:
        10 min).
    :ivar stall: the client's kernel accepts no pending data: the connection is aborted (nginx
        ``send_timeout``: 60 s).
    :ivar linger: from our FIN to the client's (nginx ``lingering_time``: 30 s).
    :ivar close: from the client's FIN until it has accepted all pending data, however steadily: in
        15 minutes 4 kB per second transfer the 3 MB in the buffers. Nginx has no such limit;
        without one a client that reads a byte a minute would be held for ever.
    :ivar handshake: for the TLS handshake (nginx's stream ``ssl_handshake_timeout``: 60 s; it takes
        two round trips, and strangers hold a descriptor meanwhile).
    :ivar header: for a PROXY header. Proxies send it at once; the specification asks for 3 s or
        more, so that one lost packet can be sent again.
    """

    idle: float = 600.0
    stall: float = 60.0
    linger: float = 30.0
    close: float = 900.0
    handshake: float = 10.0
    header: float = 5.0
