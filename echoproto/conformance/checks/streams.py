"""
Checks of every stream: all data is returned unchanged, whatever it is and however it is split.
"""

from __future__ import annotations

from random import Random

from echoproto.conformance.registry import TCP, check
from echoproto.conformance.streamclient import StreamTester, content

#: Bytes of a large message: about twice what both kernels were seen to buffer while nothing is
#: read.
LARGE_MESSAGE = 16 << 20

#: Messages that are sent without waiting for replies.
PIPELINED_MESSAGES = 1000

#: Seconds between single bytes, so that each is in a segment of its own.
BYTE_INTERVAL = 0.001


@check("answers", TCP)
async def streamAnswers(tester: StreamTester) -> None:
    """A message is returned."""
    await tester.expectAnswer()


@check("all-byte-values", TCP)
async def streamByteValues(tester: StreamTester) -> None:
    """All byte values are returned, in order and in random pairs."""
    connection = await tester.open()
    connection.send(bytes(range(256)) + content(65_536))
    await connection.waitForEcho()


@check("byte-at-a-time", TCP)
async def byteAtATime(tester: StreamTester) -> None:
    """Bytes that are sent one at a time are returned."""
    connection = await tester.open()
    for value in range(256):
        connection.send(bytes([value]))
        await tester.pause(BYTE_INTERVAL)
    await connection.waitForEcho()


@check("pipelining", TCP)
async def streamPipelining(tester: StreamTester) -> None:
    """Messages that are sent without waiting for replies are returned in order."""
    connection = await tester.open()
    sizes = Random(1)
    for number in range(PIPELINED_MESSAGES):
        connection.send(b"%d:" % number + content(sizes.randint(1, 1400)))
    await connection.waitForEcho()


@check("large-message", TCP)
async def largeMessage(tester: StreamTester) -> None:
    """
    A message larger than all buffers on the path is returned to a client that reads while it sends.
    """
    connection = await tester.open()
    connection.send(content(LARGE_MESSAGE))
    await connection.waitForEcho()
