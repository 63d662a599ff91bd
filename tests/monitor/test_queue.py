from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.monitor.queue import MAX_PROBES_PER_TURN, ProbeQueue, QueuedProbe
from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND


class QueueTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lateness = Histogram((0.1, 1.0))
        self.queue = ProbeQueue(
            self.clock, lambda: round(self.clock.seconds() * SECOND), self.lateness
        )
        self.sent: list[object] = []

    def add(self, due: float, name: object) -> QueuedProbe:
        """Add a probe that records its name."""
        probe = QueuedProbe(lambda: self.sent.append(name))
        self.queue.add(round(due * SECOND), probe)
        return probe

    def test_order(self) -> None:
        """Probes are sent at their times, equal ones in their order, by one call at a time."""
        for name, due in (("c", 3), ("a", 1), ("d", 3), ("b", 2)):
            self.add(due, name)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for expected in ("", "a", "ab", "abcd"):
            self.assertEqual("".join(map(str, self.sent)), expected)
            self.clock.advance(1)
        self.assertEqual(self.lateness.cumulative()[0], (0.1, 4))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A probe is sent again if it is added when it is sent, also if it is due."""

        def send() -> None:
            self.sent.append(len(self.sent))
            if len(self.sent) < 3:
                self.queue.add(0, probe)

        probe = QueuedProbe(send)
        self.queue.add(0, probe)
        self.clock.advance(0.5)
        self.assertEqual(self.sent, [0, 1, 2])
        self.assertEqual(self.lateness.cumulative(), [(0.1, 0), (1.0, 3), (float("inf"), 3)])

    def test_cancelled(self) -> None:
        """A cancelled probe is not sent; without another nothing is scheduled."""
        first, second, third = (self.add(due, due) for due in (1, 2, 3))
        self.queue.cancel(second)
        self.queue.cancel(first)
        self.clock.advance(2.5)
        self.assertEqual(self.sent, [])
        self.queue.cancel(third)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelledBetween(self) -> None:
        """A probe may cancel others that are due."""
        later = self.add(0, "later")
        self.queue.add(-1, QueuedProbe(lambda: self.queue.cancel(later)))
        self.clock.advance(0)
        self.assertEqual((self.sent, self.clock.getDelayedCalls()), ([], []))

    def test_turns(self) -> None:
        """If many are due, the event loop has a turn for other things in between."""
        for number in range(MAX_PROBES_PER_TURN + 1):
            self.add(0, number)
        self.clock.callLater(0, self.sent.append, "other")
        self.clock.advance(0)
        self.assertEqual(self.sent.index("other"), MAX_PROBES_PER_TURN)
        self.assertEqual(len(self.sent), MAX_PROBES_PER_TURN + 2)

    def test_error(self) -> None:
        """An error ends the probes of one target, not those of others."""

        def fail() -> None:
            raise ValueError

        self.queue.add(0, QueuedProbe(fail))
        self.add(0, "other")
        self.assertRaises(ValueError, self.clock.advance, 0)
        self.clock.advance(1)
        self.assertEqual(self.sent, ["other"])
