"""
The echo service inside a Twisted program of your own, with limits and timeouts.

    python examples/embedded.py tcp:8007:interface=127.0.0.1
"""

from __future__ import annotations

import sys

from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from echoproto import AddressFilter, ConnectionAdmission, EchoFactory, Timeouts


def limitedEcho(clock: IReactorTime) -> EchoFactory:
    """Serve at most 100 clients, 2 per address, and close a connection after 30 idle seconds."""
    admission = ConnectionAdmission(
        clock.seconds,
        maximum=100,
        perSource=2,
        networks=AddressFilter(deny=["203.0.113.0/24"]),
    )
    return EchoFactory(clock, admission=admission, timeouts=Timeouts(idle=30.0))


async def main(reactor: ReactorBase, endpoint: str) -> None:
    factory = limitedEcho(reactor)
    await serverFromString(reactor, endpoint).listen(factory)
    # When the program stops, let the open connections finish.
    reactor.addSystemEventTrigger("before", "shutdown", factory.drain)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:] or ["tcp:8007:interface=127.0.0.1"])
