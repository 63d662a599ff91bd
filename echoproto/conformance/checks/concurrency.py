"""
What is asked with many connections at once.
"""

from __future__ import annotations

from echoproto.conformance.results import Failed
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content

#: Connections that any server should have room for.
MANY = 100

#: Connections that it need not have room for, but must survive: more than half of the descriptors that a process has by default.
CROWD = 600

#: Seconds that the crowd stays.
STAY = 1.0

SIZE = 1000


async def connections(asked: StreamTester) -> str:
    """Many connections at once each get their own bytes."""
    talks = await _connected(asked, MANY)
    if len(talks) < MANY:
        raise Failed(f"connection {len(talks) + 1} was not made")
    _send(talks)
    for number, connection in enumerate(talks, 1):
        try:
            await connection.all()
        except Failed as failed:
            raise Failed(f"connection {number} of {MANY}: {failed}") from None
    return f"{MANY} connections"


async def crowd(asked: StreamTester) -> str:
    """After a crowd, which it may refuse, the next client is answered."""
    talks = await _connected(asked, CROWD)
    _send(talks)
    await asked.pause(STAY)
    answered = sum(not each.due for each in talks)
    asked.close()
    await asked.pause(STAY)
    await asked.served()
    return f"of {CROWD} connections at once {answered} were answered"


async def _connected(asked: StreamTester, count: int) -> list[CheckConnection]:
    """So many connections, or as many as there can be."""
    talks: list[CheckConnection] = []
    while len(talks) < count:
        try:
            talks.append(await asked.open())
        except Failed:
            break
    return talks


def _send(talks: list[CheckConnection]) -> None:
    for number, connection in enumerate(talks):
        connection.send(content(SIZE + number))
