"""Values of options from text, besides the general ones of :mod:`echoproto.text.units`."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from twisted.internet.abstract import isIPAddress, isIPv6Address

from echoproto.protocols.datagram import MAX_IPV4_DATAGRAM
from echoproto.text.units import parseCount, parseTimeout

if TYPE_CHECKING:
    from echoproto.protocols.faults.faultplan import FaultPlan

#: Maximum TCP_USER_TIMEOUT in seconds: the kernel takes an int of milliseconds.
MAX_USER_TIMEOUT = 2_000_000


def parseGreeting(text: str) -> bytes:
    """The text of a greeting; an empty or too long one is invalid."""
    greeting = text.encode("utf-8", "surrogateescape")
    if not 0 < len(greeting) <= MAX_IPV4_DATAGRAM:
        raise ValueError(f"invalid length of {len(greeting)} bytes (1 to {MAX_IPV4_DATAGRAM})")
    return greeting


def parseInterface(text: str) -> str:
    """A numeric address."""
    if not isIPAddress(text) and not isIPv6Address(text):
        raise ValueError(f"invalid address {text!r} (numeric, such as 192.0.2.1; not a name)")
    return text


def parseMaximum(text: str) -> int:
    """A number, 1 or more."""
    count = parseCount(text)
    if count == 0:
        raise ValueError("invalid number '0' (1 or more)")
    return count


def orInfinity(parse: Callable[[str], float]) -> Callable[[str], float]:
    """``parse`` for a limit that is infinite if it is 0."""
    return lambda text: parse(text) or inf


def parseWhenFull(text: str) -> bool:
    """Whether ``text`` is ``wait``; otherwise it must be ``refuse``."""
    if text not in ("refuse", "wait"):
        raise ValueError(f"invalid choice {text!r} (refuse or wait)")
    return text == "wait"


def parseUserTimeout(text: str) -> float:
    """A timeout that the kernel can keep."""
    seconds = parseTimeout(text)
    if MAX_USER_TIMEOUT < seconds < inf:
        raise ValueError(f"invalid timeout {text!r} (at most {MAX_USER_TIMEOUT} seconds; 0: never)")
    return seconds


def parseFaultPlan(text: str) -> FaultPlan:
    """Faults; see :func:`echoproto.protocols.faults.faultplan.parseFaults`."""
    # Imported here: a server without faults does not need it.
    from echoproto.protocols.faults.faultplan import parseFaults

    return parseFaults(text)
