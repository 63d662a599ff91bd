"""
An echo server behind a load balancer that announces its clients by PROXY headers. It logs them.

    python examples/behindproxy.py tcp:8007:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from echoproto import (
    AddressFilter,
    ConnectionSummary,
    EchoFactory,
    ProxyProtocolFactory,
    ProxyProtocolVersion,
)
from echoproto.protocols.observer import NullObserver


class ClientPrinter(NullObserver):
    """Prints a line for each connection that has ended."""

    def connectionEnded(self, summary: ConnectionSummary) -> None:
        print(summary.peer, summary.ending.value, summary.bytesReceived)


async def main(reactor: ReactorBase, endpoint: str) -> None:
    echo = EchoFactory(reactor, observer=ClientPrinter())
    # Only the balancers of these networks may announce clients.
    balancers = AddressFilter(allow=["127.0.0.0/8", "192.0.2.0/24"])
    factory = ProxyProtocolFactory(echo, ProxyProtocolVersion.ANY, balancers)
    await serverFromString(reactor, endpoint).listen(factory)
    reactor.addSystemEventTrigger("before", "shutdown", factory.drain)
    await Deferred()  # until Ctrl-C


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:8007:interface=127.0.0.1"])
