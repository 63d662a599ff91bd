"""Checks that could start a loop or a flood of datagrams, so that they need the owner's consent."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from twisted.internet.error import CannotListenError

from echoproto.conformance.registry import UDP, check
from echoproto.conformance.results import Failed, Skipped
from echoproto.conformance.streamclient import content
from echoproto.conformance.udpclient import CheckSocket, DatagramTester

#: Ports of services that answer anything: echo (RFC 862) and chargen (RFC 864).
ANSWERING_PORTS = (7, 19)

#: Datagrams of a burst: several times what the default buffer of a Linux socket holds.
BURST_DATAGRAMS = 2000

#: Datagrams sent at a time, so that the rest of the program has its turns.
SENDS_PER_TURN = 100

#: The source on loopback, where other programs do not use the same ports.
_LOOPBACK_SOURCE = "127.0.0.3"


@check("echo-ports", UDP, "CERT CA-1996-01", risky=True)
async def echoPorts(tester: DatagramTester) -> str:
    """
    A datagram from the port of a service that answers anything gets no reply, as the two would
    never end.
    """
    source = _LOOPBACK_SOURCE if tester.isLocalIPv4 else ""
    sockets: dict[int, CheckSocket] = {}
    for port in dict.fromkeys((*ANSWERING_PORTS, tester.port)):
        with suppress(CannotListenError):
            sockets[port] = tester.open(port, source)
    if not sockets:
        raise Skipped(f"{_named(ANSWERING_PORTS)} are in use, or need root")
    for opened in sockets.values():
        opened.send(content(32))
    await tester.pause(tester.timeout)
    answered = [port for port, opened in sockets.items() if opened.count]
    if answered:
        raise Failed(f"answers datagrams from {_named(answered)}")
    await tester.expectAnswer()
    return f"sent from {_named(sockets)}"


def _named(ports: Collection[int]) -> str:
    word = "port" if len(ports) == 1 else "ports"
    return f"{word} {', '.join(map(str, ports))}"


@check("datagram-burst", UDP, "RFC 1122 section 1.2.2", risky=True)
async def datagramBurst(tester: DatagramTester) -> str:
    """After a burst of datagrams, of which some may be lost, the next one is answered."""
    opened = tester.open()
    for _ in range(BURST_DATAGRAMS // SENDS_PER_TURN):
        for _ in range(SENDS_PER_TURN):
            # A full buffer of the own kernel is part of the burst.
            with suppress(Failed):
                opened.send(content(64))
        await tester.pause(0)
    await opened.waitForCount(BURST_DATAGRAMS, 1.0)
    await tester.expectAnswer()
    return f"{opened.count} of {BURST_DATAGRAMS} returned"
