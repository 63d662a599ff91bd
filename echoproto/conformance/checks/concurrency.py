"""Checks with many connections at once."""

from __future__ import annotations

from echoproto.conformance.registry import TCP, check
from echoproto.conformance.results import Failed
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content

#: Connections that every server should accept at once.
MANY_CONNECTIONS = 100

#: Connections that a server may refuse, but must survive: more than half of a process's default
#: number of descriptors.
FLOOD_CONNECTIONS = 600

#: Seconds that the flood stays.
FLOOD_DURATION = 1.0

_MESSAGE_BYTES = 1000


@check("many-connections", TCP)
async def manyConnections(tester: StreamTester) -> str:
    """Each of many connections gets its own data back."""
    connections = await _connected(tester, MANY_CONNECTIONS)
    if len(connections) < MANY_CONNECTIONS:
        raise Failed(f"connection {len(connections) + 1} was refused")
    _send(connections)
    for number, connection in enumerate(connections, 1):
        try:
            await connection.waitForEcho()
        except Failed as failed:
            raise Failed(f"connection {number} of {MANY_CONNECTIONS}: {failed}") from None
    return f"{MANY_CONNECTIONS} connections"


@check("connection-flood", TCP, "RFC 1122 section 1.2.2", risky=True)
async def connectionFlood(tester: StreamTester) -> str:
    """After a flood of connections, which may be refused, the next client is answered."""
    connections = await _connected(tester, FLOOD_CONNECTIONS)
    _send(connections)
    await tester.pause(FLOOD_DURATION)
    answered = sum(not connection.outstanding for connection in connections)
    tester.close()
    await tester.pause(FLOOD_DURATION)
    await tester.expectAnswer()
    return f"{answered} of {FLOOD_CONNECTIONS} connections answered"


async def _connected(tester: StreamTester, count: int) -> list[CheckConnection]:
    """``count`` connections, or fewer if the server refuses one."""
    connections: list[CheckConnection] = []
    while len(connections) < count:
        try:
            connections.append(await tester.open())
        except Failed:
            break
    return connections


def _send(connections: list[CheckConnection]) -> None:
    for number, connection in enumerate(connections):
        connection.send(content(_MESSAGE_BYTES + number))
