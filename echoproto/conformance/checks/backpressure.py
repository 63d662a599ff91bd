"""
What is asked for clients that read slowly, or never: that they get everything, or cost no more than a bounded memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from echoproto.conformance.results import Failed, Skipped
from echoproto.conformance.streamclient import StreamTester, content

#: What a slow reader is sent, and how many seconds it waits before each piece.
SLOW = 4 << 20
DELAY = 0.01

#: Bytes that a server may take from a client that never reads: 16 MiB of its own, and what the kernels of both ends hold. By
#: Linux's defaults that is 4 MiB to be sent (tcp_wmem) and 6 MiB received (tcp_rmem) each way; newer ones have more to receive.
PERMITTED = 64 << 20

#: Seconds in which nothing is taken, after which it takes nothing more.
STILL = 2.0

#: Looks at whether it goes on taking, as long as the check may last.
LOOKS = 20

PIECE = 65_536


@implementer(IPushProducer)
class _Pouring:
    """
    Sends as much as is taken, up to :data:`PERMITTED`.

    :ivar poured: bytes so far; some of them still wait at our end.
    """

    def __init__(self, channel: Any) -> None:
        self.poured = 0
        self._channel = channel
        self._piece = content(PIECE)
        self._paused = False

    def pauseProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = False
        while not self._paused and self.poured <= PERMITTED:
            self.poured += PIECE
            self._channel.send(self._piece)

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self._paused = True


async def slowReader(asked: StreamTester) -> str:
    """Who reads slowly gets every byte."""
    connection = await asked.open()
    connection.channel.pauseProducing()
    connection.send(content(SLOW))
    await asked.pause(STILL / 4)
    while connection.due:
        connection.channel.resumeProducing()
        await connection.more()
        connection.channel.pauseProducing()
        await asked.pause(DELAY)
    return ""


async def neverReads(asked: StreamTester) -> str:
    """Who never reads is not read from without an end."""
    connection = await asked.open()
    connection.channel.pauseProducing()
    pouring = _Pouring(connection.channel)
    connection.channel.registerProducer(pouring, True)
    pouring.resumeProducing()
    before = 0
    for _ in range(LOOKS):
        if pouring.poured > PERMITTED:
            raise Failed(
                f"it takes more than {_mebibytes(PERMITTED)} from a client that never reads"
            )
        if pouring.poured == before:
            return f"it stopped after {_mebibytes(before)}"
        before = pouring.poured
        await asked.pause(STILL)
    raise Skipped(f"it had taken {_mebibytes(before)} in {LOOKS * STILL:g} s, and went on")


async def others(asked: StreamTester) -> str:
    """While a client does not read, another is answered."""
    connection = await asked.open()
    connection.channel.pauseProducing()
    connection.send(content(SLOW))
    await asked.pause(STILL / 4)
    await asked.served()
    return ""


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
