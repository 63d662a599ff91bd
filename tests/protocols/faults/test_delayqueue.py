from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.faults.delayqueue import DelayQueue


class DelayQueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.delivered: list[str] = []
        self.queue: DelayQueue[str] = DelayQueue(self.clock, self.delivered.append)

    def test_order(self) -> None:
        """Items are delivered at their times, by one timed call; those of one time in order."""
        self.queue.add("late", 3, 10)
        self.queue.add("early", 1, 1)
        self.queue.add("early too", 1, 1)
        self.assertEqual((len(self.queue), self.queue.size), (3, 12))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(1)
        self.assertEqual(self.delivered, ["early", "early too"])
        self.clock.advance(2)
        self.assertEqual(self.delivered[2:], ["late"])
        self.assertEqual((len(self.queue), self.queue.size), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inOrder(self) -> None:
        """Items in order do not overtake those before them."""
        self.queue.add("first", 2, 1, inOrder=True)
        self.queue.add("second", 1, 1, inOrder=True)
        self.clock.advance(1)
        self.assertEqual(self.delivered, [])
        self.clock.advance(1)
        self.assertEqual(self.delivered, ["first", "second"])

    def test_clear(self) -> None:
        """Cleared items are never delivered, and nothing stays scheduled."""
        self.queue.clear()
        self.queue.add("first", 2, 1)
        self.queue.clear()
        self.assertEqual((len(self.queue), self.queue.size), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_clearedWhileDelivering(self) -> None:
        """A delivered item may clear the queue, or add to it."""
        queue: DelayQueue[str] = DelayQueue(self.clock, lambda item: queue.clear())
        queue.add("first", 1, 1)
        queue.add("second", 1, 1)
        self.clock.advance(1)
        again: DelayQueue[str] = DelayQueue(self.clock, lambda item: again.add("next", 1, 1))
        again.add("first", 1, 1)
        self.clock.advance(1)
        self.assertEqual(len(again), 1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
