"""
A service of your own on echoproto's base classes: sends back what it receives, in upper case.

    python examples/uppercase.py tcp:8007:interface=127.0.0.1

Backpressure, half-close, timeouts and the drain are those of the echo service.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from echoproto import StreamFactory, StreamProtocol


class UppercaseProtocol(StreamProtocol):
    """One connection: every byte back, ASCII letters in upper case."""

    def dataReceived(self, data: bytes) -> None:
        self.bytesReceived += len(data)
        self.send(data.upper())


class UppercaseFactory(StreamFactory):
    protocol = UppercaseProtocol


async def main(reactor: IReactorTime, endpoint: str) -> None:
    await serverFromString(reactor, endpoint).listen(UppercaseFactory(reactor))
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:8007:interface=127.0.0.1"])
