"""
Checks with clients that read slowly or never: they lose no data, and cost the server bounded
memory.
"""

from __future__ import annotations

from echoproto.client.targets.channels import WriteControl
from echoproto.client.targets.interfaces import IStreamChannel
from echoproto.conformance.registry import TCP, check
from echoproto.conformance.results import Failed, Skipped
from echoproto.conformance.streamclient import StreamTester, content
from echoproto.text.units import size

#: Bytes for a slow reader, and seconds that it waits before each piece.
SLOW_BYTES = 4 << 20
SLOW_DELAY = 0.01

#: Bytes that a server may accept from a client that never reads: 16 MiB of its own, and the buffers
#: of both kernels. By Linux's defaults these are 4 MiB to send (tcp_wmem) and 6 MiB received
#: (tcp_rmem) each way; newer kernels receive more.
MAX_ACCEPTED = 64 << 20

#: Seconds without progress after which the server has stopped reading.
STOPPED_AFTER = 2.0

#: Number of times that progress is checked, so that the check ends within its time limit.
PROGRESS_CHECKS = 20

_PIECE_BYTES = 65_536


class _Flood(WriteControl):
    """
    Sends as much as the transport accepts, up to :data:`MAX_ACCEPTED`.

    :ivar sent: bytes so far; some of them still wait at this end.
    """

    def __init__(self, channel: IStreamChannel) -> None:
        self.sent = 0
        self._channel = channel
        self._piece = content(_PIECE_BYTES)

    def resumeProducing(self) -> None:
        """See ``IPushProducer``."""
        self.isPaused = False
        while not self.isPaused and self.sent <= MAX_ACCEPTED:
            self.sent += _PIECE_BYTES
            self._channel.send(self._piece)

    def stopProducing(self) -> None:
        """See ``IPushProducer``."""
        self.isPaused = True


@check("slow-reader", TCP)
async def slowReader(tester: StreamTester) -> None:
    """A client that reads slowly receives every byte."""
    connection = await tester.open()
    connection.channel.pauseProducing()
    connection.send(content(SLOW_BYTES))
    await tester.pause(STOPPED_AFTER / 4)
    while connection.outstanding:
        connection.channel.resumeProducing()
        await connection.waitForData()
        connection.channel.pauseProducing()
        await tester.pause(SLOW_DELAY)


@check("never-reads", TCP, "RFC 1122 section 1.2.2")
async def neverReads(tester: StreamTester) -> str:
    """The server stops reading from a client that never reads."""
    connection = await tester.open()
    connection.channel.pauseProducing()
    flood = _Flood(connection.channel)
    connection.channel.registerProducer(flood, True)
    flood.resumeProducing()
    before = 0
    for _ in range(PROGRESS_CHECKS):
        if flood.sent > MAX_ACCEPTED:
            if await connection.waitForEnd():
                raise Skipped("inconclusive: the server has closed the connection, and still reads")
            raise Failed(f"reads more than {size(MAX_ACCEPTED)} from a client that never reads")
        if flood.sent == before:
            return f"stopped reading after {size(before)}"
        before = flood.sent
        await tester.pause(STOPPED_AFTER)
    seconds = PROGRESS_CHECKS * STOPPED_AFTER
    raise Skipped(f"still reading after {size(before)} in {seconds:g} s")


@check("other-clients", TCP, "RFC 1122 section 1.2.2")
async def otherClients(tester: StreamTester) -> None:
    """While one client does not read, another one is answered."""
    connection = await tester.open()
    connection.channel.pauseProducing()
    connection.send(content(SLOW_BYTES))
    await tester.pause(STOPPED_AFTER / 4)
    await tester.expectAnswer()
