"""
What is asked of every stream: that all comes back as it was sent, whatever it is and however it is cut.
"""

from __future__ import annotations

from random import Random

from echoproto.conformance.streamclient import StreamTester, content

#: About twice what the kernels of both ends were seen to hold of it where nobody reads.
LARGE = 16 << 20

MESSAGES = 1000

#: Seconds between bytes that are sent one by one, so that each is in a segment of its own.
GAP = 0.001


async def answers(asked: StreamTester) -> str:
    """A message comes back."""
    await asked.served()
    return ""


async def everyByte(asked: StreamTester) -> str:
    """All values of a byte come back, one after the other and pair by pair in no order."""
    connection = await asked.open()
    connection.send(bytes(range(256)) + content(65_536))
    await connection.all()
    return ""


async def singleBytes(asked: StreamTester) -> str:
    """Bytes come back that are sent one by one."""
    connection = await asked.open()
    for each in range(256):
        connection.send(bytes([each]))
        await asked.pause(GAP)
    await connection.all()
    return ""


async def large(asked: StreamTester) -> str:
    """What is larger than all buffers on the way comes back, as it is read while it is sent."""
    connection = await asked.open()
    connection.send(content(LARGE))
    await connection.all()
    return ""


async def pipelined(asked: StreamTester) -> str:
    """Messages that are not awaited come back in order."""
    connection = await asked.open()
    sizes = Random(1)
    for number in range(MESSAGES):
        connection.send(b"%d:" % number + content(sizes.randint(1, 1400)))
    await connection.all()
    return ""
