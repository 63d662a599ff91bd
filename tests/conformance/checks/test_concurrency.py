from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.concurrency import (
    FLOOD_CONNECTIONS,
    MANY_CONNECTIONS,
    connectionFlood,
    manyConnections,
)
from echoproto.conformance.results import Failed
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho


class Limited(Factory):
    """
    Accepts a limited number of connections.

    :param room: the limit.
    :param forever: whether all later connections are refused once the limit was reached.
    """

    protocol = FaultyEcho

    def __init__(self, room: int, forever: bool = False) -> None:
        self.open = 0
        self._room = room
        self._forever = forever
        self._over = False

    def buildProtocol(self, addr: Any) -> Any:
        if self._over or self.open == self._room:
            self._over = self._forever
            return None
        self.open += 1
        factory = self

        class Counted(FaultyEcho):
            def connectionLost(self, reason: Any = None) -> None:
                factory.open -= 1

        return Counted()


class Mixing(FaultyEcho):
    """Sends wrong data on the fiftieth connection."""

    number = 0

    def connectionMade(self) -> None:
        Mixing.number += 1
        self.mine = Mixing.number

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(len(data)) if self.mine == 50 else data)


class ConcurrencyTests(SynchronousTestCase):
    def test_conforming(self) -> None:
        """The echo server passes all of these checks."""
        self.assertEqual(FakeStreamServer().run(manyConnections), f"{MANY_CONNECTIONS} connections")
        self.assertEqual(
            FakeStreamServer().run(connectionFlood),
            f"{FLOOD_CONNECTIONS} of {FLOOD_CONNECTIONS} connections answered",
        )

    def test_tooFew(self) -> None:
        """A server that accepts too few connections fails."""
        with self.assertRaisesRegex(Failed, "connection 51 was refused"):
            FakeStreamServer(lambda clock: Limited(50)).run(manyConnections)

    def test_mixed(self) -> None:
        """A server that mixes up its clients fails."""
        self.addCleanup(setattr, Mixing, "number", 0)
        with self.assertRaisesRegex(Failed, "connection 50 of 100: wrong byte at offset 0: sent"):
            FakeStreamServer(lambda clock: Factory.forProtocol(Mixing)).run(manyConnections)

    def test_refused(self) -> None:
        """A connection flood may be refused, as long as the next client is served."""
        self.assertEqual(
            FakeStreamServer(lambda clock: Limited(200)).run(connectionFlood),
            f"200 of {FLOOD_CONNECTIONS} connections answered",
        )
        with self.assertRaisesRegex(Failed, "refused"):
            FakeStreamServer(lambda clock: Limited(200, forever=True)).run(connectionFlood)
