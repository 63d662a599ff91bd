"""
What is asked of every stream: that all comes back as it was sent, whatever it is and however it is cut.
"""

from __future__ import annotations

from random import Random

from echoproto.conformance.streamclient import Streams, content

#: About twice what the kernels of both ends were seen to hold of it where nobody reads.
LARGE = 16 << 20

MESSAGES = 1000

#: Seconds between bytes that are sent one by one, so that each is in a segment of its own.
GAP = 0.001


async def answers(asked: Streams) -> str:
    """A message comes back."""
    await asked.served()
    return ""


async def everyByte(asked: Streams) -> str:
    """All values of a byte come back, one after the other and pair by pair in no order."""
    talk = await asked.open()
    talk.send(bytes(range(256)) + content(65_536))
    await talk.all()
    return ""


async def singleBytes(asked: Streams) -> str:
    """Bytes come back that are sent one by one."""
    talk = await asked.open()
    for each in range(256):
        talk.send(bytes([each]))
        await asked.pause(GAP)
    await talk.all()
    return ""


async def large(asked: Streams) -> str:
    """What is larger than all buffers on the way comes back, as it is read while it is sent."""
    talk = await asked.open()
    talk.send(content(LARGE))
    await talk.all()
    return ""


async def pipelined(asked: Streams) -> str:
    """Messages that are not awaited come back in order."""
    talk = await asked.open()
    sizes = Random(1)
    for number in range(MESSAGES):
        talk.send(b"%d:" % number + content(sizes.randint(1, 1400)))
    await talk.all()
    return ""
