"""
An echo client on any endpoint that Twisted can describe. It compares every byte.

    python examples/client.py tcp:127.0.0.1:12345
"""

from __future__ import annotations

import sys

from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from echoproto import connectEcho


async def main(reactor: IReactorTime, endpoint: str) -> None:
    client = await connectEcho(clientFromString(reactor, endpoint), reactor)
    # Both are sent at once; the replies arrive in order.
    large, small = client.echo(b"x" * 10_000_000), client.echo(b"pipelined")
    print(len(await large), await small)
    await client.close()


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:127.0.0.1:12345"])
