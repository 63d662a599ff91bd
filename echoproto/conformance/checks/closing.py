"""Checks of the end of a connection: no data is lost, and no other client is affected."""

from __future__ import annotations

from echoproto.conformance.registry import TCP, check
from echoproto.conformance.results import Failed, Skipped, faultsBySize
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content

#: Nothing, little, an odd number, the size of a queue of Twisted, and more. Repeated, because such
#: losses depend on timing.
SIZES = (0, 1, 1000, 40_019, 65_536) * 10 + (2 << 20,) * 3

#: Bytes for a client that reads late, more than both kernels were seen to buffer; and seconds until
#: it reads.
LATE_BYTES = 16 << 20
LATE_DELAY = 1.5

RESETS = 10


@check("half-close", TCP, "RFC 9293 section 3.6")
async def halfClose(tester: StreamTester) -> None:
    """After the client's FIN all data is returned, then the server's FIN follows."""
    faults: dict[int, str] = {}
    for size in SIZES:
        if size not in faults:
            try:
                await _halfClosed(tester, size)
            except Failed as failed:
                faults[size] = str(failed)
    if faults:
        raise Failed(faultsBySize(faults))


async def _halfClosed(tester: StreamTester, size: int) -> None:
    connection = await tester.open()
    connection.send(content(size))
    _finish(connection)
    await connection.waitForClose()


@check("late-reader", TCP, "RFC 9293 section 3.6")
async def lateReader(tester: StreamTester) -> None:
    """After the client's FIN all data is returned, even if the client reads late."""
    connection = await tester.open()
    connection.channel.pauseProducing()
    connection.send(content(LATE_BYTES))
    _finish(connection)
    await tester.pause(LATE_DELAY)
    connection.channel.resumeProducing()
    await connection.waitForClose()


def _finish(connection: CheckConnection) -> None:
    if not connection.channel.loseWriteConnection():
        raise Skipped("Twisted's own TLS clients cannot half-close")


@check("connection-reset", TCP, "RFC 9293 section 3.5.2")
async def connectionReset(tester: StreamTester) -> None:
    """Earlier and later clients are answered after other connections were reset."""
    earlier = await tester.open()
    for _ in range(RESETS):
        connection = await tester.open()
        connection.channel.pauseProducing()
        connection.send(content(65_536))
        await tester.pause(0.01)
        connection.close()
    earlier.send(b"Are you still there?")
    await earlier.waitForEcho()
    await tester.expectAnswer()
