from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping import awaited
from echoproto.measure.ping.awaited import AwaitedProbes
from echoproto.text.units import SECOND


class AwaitedProbesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lost: list[int] = []
        self.awaited = AwaitedProbes(self.clock, SECOND, self.timedOut)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def timedOut(self, sequence: int) -> None:
        self.lost.append(sequence)
        self.awaited.discard(sequence)

    def test_timeout(self) -> None:
        """A probe without a reply times out, and is overdue; of these the last ones are kept."""
        self.patch(awaited, "MAX_OVERDUE", 2)
        self.awaited = AwaitedProbes(self.clock, SECOND, self.timedOut)
        for sequence in range(4):
            self.awaited.add(sequence, isOrdered=False)
        self.awaited.discard(1)
        self.assertEqual((bool(self.awaited), list(self.awaited)), (True, [0, 2, 3]))
        self.assertEqual((0 in self.awaited, 1 in self.awaited), (True, False))
        self.clock.advance(1)
        self.assertEqual((self.lost, list(self.awaited.overdue)), ([0, 2, 3], [2, 3]))
        self.assertFalse(self.awaited)

    def test_order(self) -> None:
        """On a stream replies belong to the probes in their order, until the connection ends."""
        for sequence in range(3):
            self.awaited.add(sequence, isOrdered=True)
        self.assertEqual([self.awaited.next(), self.awaited.next()], [0, 1])
        self.assertFalse(self.awaited.isComplete)
        self.awaited.disconnected()
        self.assertTrue(self.awaited.isComplete)
        self.assertIsNone(self.awaited.next())
        self.awaited.end()

    def test_bounded(self) -> None:
        """Nothing is kept of an answered datagram."""
        self.awaited.add(0, isOrdered=False)
        self.awaited.discard(0)
        self.awaited.discard(0)
        self.assertEqual((self.awaited.next(), list(self.awaited)), (None, []))
