"""
The options of ``twistd echoproto`` that take one value: name, default, what it says, how it is read.

A table, read by :mod:`echoproto.server.options`; the defaults stand where they belong and are written here as an
operator would write them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from echoproto.addresses import MAX_IPV4_DATAGRAM
from echoproto.protocols.admission import DATAGRAM_RATE, LOOPING_PORTS
from echoproto.protocols.connections import DRAIN_TIMEOUT
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.config.settings import RESERVED_DESCRIPTORS, USER_TIMEOUT
from echoproto.units import parseCount, parsePorts, parseRate, parseSeconds, parseTimeout

#: The longest TCP_USER_TIMEOUT, in seconds: the kernel takes an int of milliseconds.
LONGEST_USER_TIMEOUT = 2_000_000


@dataclass(frozen=True)
class Parameter:
    """
    :ivar name: without the two hyphens.
    :ivar default: as an operator would write it; ``None`` where there is no such way.
    :ivar help: one sentence or two.
    :ivar parse: makes the value; raises ``ValueError`` with one line.
    """

    name: str
    default: str | None
    help: str
    parse: Callable[[str], Any] = str


def _greeting(text: str) -> bytes:
    greeting = text.encode("utf-8", "surrogateescape")
    if not 0 < len(greeting) <= MAX_IPV4_DATAGRAM:
        raise ValueError(
            f"{len(greeting)} bytes; give 1 to {MAX_IPV4_DATAGRAM}, what a datagram holds"
        )
    return greeting


def _maximum(text: str) -> int:
    count = parseCount(text)
    if count == 0:
        raise ValueError("give 1 or more")
    return count


def _countOrAny(text: str) -> float:
    return parseCount(text) or inf


def _rateOrAny(text: str) -> float:
    return parseRate(text) or inf


def _waits(text: str) -> bool:
    if text not in ("refuse", "wait"):
        raise ValueError(f"{text!r}: give refuse or wait")
    return text == "wait"


def _userTimeout(text: str) -> float:
    seconds = parseTimeout(text)
    if LONGEST_USER_TIMEOUT < seconds < inf:
        raise ValueError(f"{text!r} is more than {LONGEST_USER_TIMEOUT} seconds; 0 is for never")
    return seconds


def _deadline(name: str, help: str) -> Parameter:
    return Parameter(f"{name}-timeout", f"{getattr(Timeouts(), name):g}", help, parseTimeout)


PARAMETERS = (
    Parameter(
        "greeting",
        SERVER_GREETING.decode(),
        "The text that the greeting service answers. A UDP request that is shorter gets no answer.",
        _greeting,
    ),
    Parameter(
        "max-connections",
        None,
        "Connections at once. [default: the limit of file descriptors less "
        f"{RESERVED_DESCRIPTORS} and one for each listener]",
        _maximum,
    ),
    Parameter(
        "max-per-source",
        None,
        "Connections at once from one IPv4 address or IPv6 /64; 0 for no limit. "
        "[default: half of --max-connections]",
        _countOrAny,
    ),
    Parameter(
        "connection-rate",
        "0",
        "Connections per second that one source may make; 0 for no limit.",
        _rateOrAny,
    ),
    Parameter(
        "connection-burst",
        "0",
        "How many of these may come at once; 0 for as many as in a second.",
        parseRate,
    ),
    Parameter(
        "when-full",
        "refuse",
        "What becomes of a connection for which there is no room: refuse, or wait, which leaves it in the "
        "kernel's queue.",
        _waits,
    ),
    Parameter(
        "datagram-rate",
        f"{DATAGRAM_RATE:g}",
        "Datagrams per second that one source may have answered, and as many at once; 0 for no limit.",
        parseRate,
    ),
    Parameter(
        "refused-ports",
        ",".join(map(str, sorted(LOOPING_PORTS))),
        "Source ports whose datagrams are not answered, as that could start a loop; or none.",
        parsePorts,
    ),
    _deadline("idle", "TIME without a byte either way, until a connection gets our FIN."),
    _deadline(
        "stall", "TIME in which a client takes nothing of what waits for it, until it is cut."
    ),
    _deadline("linger", "TIME after our FIN until the client's must have come."),
    _deadline("close", "TIME after the client's FIN until it must have taken all that it is owed."),
    _deadline("handshake", "TIME for the TLS handshake."),
    _deadline("header", "TIME for the PROXY header."),
    Parameter(
        "user-timeout",
        f"{USER_TIMEOUT:g}",
        "TIME in which a client's machine acknowledges nothing, until the kernel cuts it "
        "(TCP_USER_TIMEOUT).",
        _userTimeout,
    ),
    Parameter(
        "drain",
        f"{DRAIN_TIMEOUT:g}",
        "TIME that open connections have to finish when the server is stopped; here 0 is none.",
        parseSeconds,
    ),
    Parameter("tls-cert", None, "TCP listeners speak TLS with the certificate in this PEM file."),
    Parameter("tls-key", None, "PEM file of its key. [default: the file of the certificate]"),
    Parameter(
        "tls-client-ca",
        None,
        "Let in only clients with a certificate of an authority in this PEM file.",
    ),
    Parameter(
        "status",
        None,
        "Serve /healthz, /readyz and /metrics over HTTP on this port of 127.0.0.1, or on a "
        "description; /metrics needs the extra 'metrics'.",
    ),
)
