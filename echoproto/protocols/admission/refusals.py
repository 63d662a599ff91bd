"""Why clients are refused."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """Why a connection is not served or a datagram not answered."""

    FULL = "too many connections"
    SOURCE_FULL = "too many connections from the source"
    DENIED = "source is not allowed"
    UNTRUSTED = "source is not a trusted proxy"
    NO_HEADER = "no PROXY header"
    LATE_HEADER = "PROXY header took too long"
    LONG_HEADER = "PROXY header too long"
    MALFORMED_HEADER = "PROXY header malformed"
    WRONG_CHECKSUM = "PROXY header checksum wrong"
    NO_HANDSHAKE = "TLS handshake failed"
    LATE_HANDSHAKE = "TLS handshake took too long"
    LOOPING_PORT = "source port could loop"
    OWN_PORT = "source port is our own"
    NOT_UNICAST = "source address is not one host"
    RATE = "source over its rate"
    OWN_REPLY = "text of our own reply"
    AMPLIFYING = "reply longer than request"


#: Why connections are refused: at every listener, at one with PROXY headers, at one with TLS.
CONNECTION_REFUSALS = (Refusal.FULL, Refusal.SOURCE_FULL, Refusal.DENIED, Refusal.RATE)
HEADER_REFUSALS = (
    Refusal.UNTRUSTED,
    Refusal.NO_HEADER,
    Refusal.LATE_HEADER,
    Refusal.LONG_HEADER,
    Refusal.MALFORMED_HEADER,
    Refusal.WRONG_CHECKSUM,
)
HANDSHAKE_REFUSALS = (Refusal.NO_HANDSHAKE, Refusal.LATE_HANDSHAKE)

#: Why datagrams are refused at every listener.
DATAGRAM_REFUSALS = (
    Refusal.LOOPING_PORT,
    Refusal.OWN_PORT,
    Refusal.NOT_UNICAST,
    Refusal.DENIED,
    Refusal.RATE,
)
