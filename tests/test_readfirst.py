from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.readfirst import HELD_UP, READING_TIME, ReadFirst


class ReadFirstTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[str] = []
        self.limit = ReadFirst(self.clock, 2, self.calls.append, "over")

    def test_onTime(self) -> None:
        """On time it calls at once."""
        self.clock.advance(1.9)
        self.assertEqual((self.calls, self.limit.active()), ([], True))
        self.clock.advance(0.1 + HELD_UP / 2)
        self.assertEqual((self.calls, self.limit.active()), (["over"], False))

    def test_heldUp(self) -> None:
        """If the process was held up it calls when the sockets were read, held up again or not."""
        for _ in range(2):
            self.clock.advance(60)
            self.assertEqual((self.calls, self.limit.active()), ([], True))
        self.clock.advance(READING_TIME)
        self.assertEqual(self.calls, ["over"])

    def test_cancelled(self) -> None:
        """Cancelled it never calls, even while the sockets are read."""
        self.clock.advance(60)
        self.limit.cancel()
        self.assertEqual((self.clock.getDelayedCalls(), self.limit.active()), ([], False))
