"""
Every check, in order. The first of each carrier tells whether there is anybody; those that a server may not outlive
come last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from echoproto.conformance.checks import (
    backpressure,
    closing,
    concurrency,
    datagrams,
    loops,
    streams,
)
from echoproto.conformance.results import Check

TCP, UDP = "tcp", "udp"

#: The first check of each carrier.
ANSWERS = "answers"

_STREAM = "RFC 862, TCP"
_DATAGRAM = "RFC 862, UDP"
_LOOP = "CERT CA-1996-01"
_ROBUST = "RFC 1122 section 1.2.2"


def _stream(
    name: str, ask: Callable[[Any], Any], source: str = _STREAM, risky: bool = False
) -> Check:
    return Check(TCP, name, ask.__doc__ or "", source, ask, risky)


def _datagram(
    name: str, ask: Callable[[Any], Any], source: str = _DATAGRAM, risky: bool = False
) -> Check:
    return Check(UDP, name, ask.__doc__ or "", source, ask, risky)


CHECKS: Sequence[Check] = (
    _stream(ANSWERS, streams.answers),
    _stream("bytes", streams.everyByte),
    _stream("one by one", streams.singleBytes),
    _stream("pipelined", streams.pipelined),
    _stream("large", streams.large),
    _stream("half-close", closing.halfClose, "RFC 9293 section 3.6"),
    _stream("late reader", closing.lateReader, "RFC 9293 section 3.6"),
    _stream("slow reader", backpressure.slowReader),
    _stream("never reads", backpressure.neverReads, _ROBUST),
    _stream("others", backpressure.others, _ROBUST),
    _stream("reset", closing.reset, "RFC 9293 section 3.5.2"),
    _stream("connections", concurrency.connections),
    _stream("crowd", concurrency.crowd, _ROBUST, risky=True),
    _datagram(ANSWERS, datagrams.answers),
    _datagram("bytes", datagrams.everyByte),
    _datagram("sizes", datagrams.sizes, "RFC 862, RFC 768"),
    _datagram("source", datagrams.source, "RFC 1122 section 4.1.3.5"),
    _datagram("port", datagrams.port),
    _datagram("once", datagrams.once),
    _datagram("pipelined", datagrams.pipelined),
    _datagram("echo ports", loops.echoPorts, _LOOP, risky=True),
    _datagram("burst", loops.burst, _ROBUST, risky=True),
    _datagram("empty", datagrams.empty, "RFC 768"),
)


def chosen(carriers: Sequence[str], only: Sequence[str] = (), risky: bool = False) -> list[Check]:
    """
    What is asked.

    :param carriers: ``tcp`` and ``udp``, or one of them.
    :param only: names of checks; all where empty. The first of each carrier is always asked.
    :param risky: whether those are asked that could start a loop or a flood, too.
    :raise ValueError: no check of that carrier has that name, or it is risky; the message says so in one line.
    """
    possible = [each for each in CHECKS if each.carrier in carriers and each.risky <= risky]
    names = [each.name for each in possible]
    for name in only:
        if name not in names:
            risk = (
                " without risk" if any(each.name == name for each in CHECKS if each.risky) else ""
            )
            raise ValueError(
                f"{name!r} is no check{risk}; there are {', '.join(dict.fromkeys(names))}"
            )
    return [each for each in possible if not only or each.name in (ANSWERS, *only)]
