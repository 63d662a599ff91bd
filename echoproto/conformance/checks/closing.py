"""
What is asked of the end of a connection: that nothing is lost at it, and that nobody else is.
"""

from __future__ import annotations

from echoproto.conformance.results import Failed, Skipped, toldBySize
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content

#: Nothing, little, odd, what a queue of Twisted's takes, and more. Each again and again: what is lost is lost only now and then,
#: as it hangs on what comes together.
SIZES = (0, 1, 1000, 40_019, 65_536) * 10 + (2 << 20,) * 3

#: Bytes that wait for a client which reads late, more than the kernels of both ends were seen to hold, and seconds until it reads.
OWED = 16 << 20
ASLEEP = 1.5

RESETS = 10


async def halfClose(asked: StreamTester) -> str:
    """After our FIN all comes back, then the server's FIN."""
    faults: dict[int, str] = {}
    for size in SIZES:
        if size not in faults:
            try:
                await _halfClosed(asked, size)
            except Failed as failed:
                faults[size] = str(failed)
    if faults:
        raise Failed(toldBySize(faults))
    return ""


async def _halfClosed(asked: StreamTester, size: int) -> None:
    connection = await asked.open()
    connection.send(content(size))
    _finish(connection)
    await connection.over()


async def lateReader(asked: StreamTester) -> str:
    """After our FIN all comes back, though we do not read at once."""
    connection = await asked.open()
    connection.channel.pauseProducing()
    connection.send(content(OWED))
    _finish(connection)
    await asked.pause(ASLEEP)
    connection.channel.resumeProducing()
    await connection.over()
    return ""


def _finish(connection: CheckConnection) -> None:
    if not connection.channel.loseWriteConnection():
        raise Skipped("Twisted's TLS clients cannot half-close")


async def reset(asked: StreamTester) -> str:
    """Who was connected before, and who comes after, are answered when others have been reset."""
    before = await asked.open()
    for _ in range(RESETS):
        connection = await asked.open()
        connection.channel.pauseProducing()
        connection.send(content(65_536))
        await asked.pause(0.01)
        connection.close()
    before.send(b"Are you still there?")
    await before.all()
    await asked.served()
    return ""
