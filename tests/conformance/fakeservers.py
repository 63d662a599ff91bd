"""Run conformance checks in memory, against servers with at most one fault."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from echoproto.client.targets.stream import StreamTarget
from echoproto.conformance.streamclient import StreamTester
from echoproto.conformance.udpclient import DatagramTester
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory
from echoproto.testing import DatagramWire, endpointTo

#: Timeout of a check's reads, in seconds.
TIMEOUT = 5.0

#: Simulated seconds per turn, and the maximum number of turns of a check.
TURN = 0.01
TURNS = 20_000


class _FakeServer:
    tester: Any

    def turn(self) -> None:
        """Advance the simulated time by one turn."""
        raise NotImplementedError

    def run(self, check: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """Run a check; return its result or raise its exception."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(check(self.tester)).addBoth(outcome.append)
        for _ in range(TURNS):
            if outcome:
                break
            self.turn()
        self.tester.close()
        self.turn()
        [result] = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result


class FakeStreamServer(_FakeServer):
    """
    A stream server in memory.

    :param make: makes its factory from a clock.
    """

    def __init__(self, make: Callable[[Clock], Any] = EchoFactory) -> None:
        self.clock = Clock()
        self.endpoint, self.pairs = endpointTo(make(self.clock))
        target = StreamTarget(
            "tcp://lab1:7", self.endpoint, None, lambda: round(self.clock.seconds() * 1e9)
        )
        self.tester = StreamTester(target, self.clock, TIMEOUT)

    def turn(self) -> None:
        """Move some data on every connection, then advance the clock."""
        for pair in self.pairs:
            for _ in range(40):
                if not pair.step():
                    break
        self.clock.advance(TURN)


@implementer(IHalfCloseableProtocol)
class FaultyEcho(Protocol):
    """An echo server that closes correctly; subclasses add the fault."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass


def faultyServer(protocol: type[Protocol]) -> FakeStreamServer:
    """Make a server with this protocol class."""
    return FakeStreamServer(lambda clock: Factory.forProtocol(protocol))


class FakeDatagramServer(_FakeServer):
    """
    A UDP server in memory.

    :param protocol: the server; ``None`` for the echo service.
    :param host: its address.
    :param port: its port.
    """

    def __init__(
        self, protocol: DatagramProtocol | None = None, host: str = "127.0.0.1", port: int = 7007
    ) -> None:
        self.wire = DatagramWire()
        self.server = protocol or EchoDatagramProtocol(self.wire)
        self.wire.listenDatagrams(port, self.server, host)
        self.tester = DatagramTester(self.wire, [host], port, TIMEOUT)

    def turn(self) -> None:
        """Deliver all pending datagrams, then advance the clock."""
        self.wire.deliverAll()
        self.wire.advance(TURN)


class FaultyDatagramEcho(DatagramProtocol):
    """A UDP echo server; subclasses add the fault."""

    transport: Any

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.answer(datagram, addr)

    def answer(self, datagram: bytes, addr: Any) -> None:
        self.transport.write(datagram, addr)
