"""
Two services on neighbouring ports: echo, and a protocol of your own.

    python examples/beside.py 8007
"""

from __future__ import annotations

import sys

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react

from echoproto import ConnectionAdmission, EchoFactory, StreamFactory, StreamProtocol


class LengthProtocol(StreamProtocol):
    """Answers with the number of bytes of each line."""

    _line = 0

    def dataReceived(self, data: bytes) -> None:
        self.bytesReceived += len(data)
        *ends, rest = data.split(b"\n")
        for end in ends:
            self.send(b"%d\n" % (self._line + len(end)))
            self._line = 0
        self._line += len(rest)


class LengthFactory(StreamFactory):
    protocol = LengthProtocol


async def main(reactor: ReactorBase, port: str) -> None:
    # Both services together serve at most 100 clients.
    admission = ConnectionAdmission(reactor.seconds, maximum=100)
    factories = [
        EchoFactory(reactor, admission=admission),
        LengthFactory(reactor, admission=admission),
    ]
    for offset, factory in enumerate(factories):
        await TCP4ServerEndpoint(reactor, int(port) + offset).listen(factory)

    def drain() -> Deferred[list[None]]:
        return gatherResults([factory.drain() for factory in factories])

    reactor.addSystemEventTrigger("before", "shutdown", drain)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["8007"])
