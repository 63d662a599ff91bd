"""
An echo server on any endpoint that Twisted can describe.

    python examples/server.py tcp:8007:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from echoproto import EchoFactory


async def main(reactor: ReactorBase, endpoint: str) -> None:
    factory = EchoFactory(reactor)
    await serverFromString(reactor, endpoint).listen(factory)
    # When the program stops, let the open connections finish.
    reactor.addSystemEventTrigger("before", "shutdown", factory.drain)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:8007:interface=127.0.0.1"])
