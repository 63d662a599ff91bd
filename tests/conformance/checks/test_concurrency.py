from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.concurrency import CROWD, MANY, connections, crowd
from echoproto.conformance.results import Failed
from tests.conformance.lab import Faulty, StreamLab


class Limited(Factory):
    """
    Has room for so many connections.

    :param room: how many.
    :param forever: whether nobody is served any more once there was none.
    """

    protocol = Faulty

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

        class Counted(Faulty):
            def connectionLost(self, reason: Any = None) -> None:
                factory.open -= 1

        return Counted()


class Mixing(Faulty):
    """Answers the fiftieth connection with what is not its own."""

    number = 0

    def connectionMade(self) -> None:
        Mixing.number += 1
        self.mine = Mixing.number

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(bytes(len(data)) if self.mine == 50 else data)


class CrowdTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo passes them all."""
        self.assertEqual(StreamLab().run(connections), f"{MANY} connections")
        self.assertEqual(
            StreamLab().run(crowd), f"of {CROWD} connections at once {CROWD} were answered"
        )

    def test_tooFew(self) -> None:
        """A server that has room for few is found."""
        with self.assertRaisesRegex(Failed, "connection 51 was not made"):
            StreamLab(lambda clock: Limited(50)).run(connections)

    def test_mixed(self) -> None:
        """A server that mixes up its clients is found."""
        self.addCleanup(setattr, Mixing, "number", 0)
        with self.assertRaisesRegex(Failed, "connection 50 of 100: byte 0 was sent as"):
            StreamLab(lambda clock: Factory.forProtocol(Mixing)).run(connections)

    def test_refused(self) -> None:
        """A crowd may be refused, as long as the next client is not."""
        self.assertEqual(
            StreamLab(lambda clock: Limited(200)).run(crowd),
            f"of {CROWD} connections at once 200 were answered",
        )
        with self.assertRaisesRegex(Failed, "refused"):
            StreamLab(lambda clock: Limited(200, forever=True)).run(crowd)
