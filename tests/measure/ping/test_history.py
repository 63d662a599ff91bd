from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping import history
from echoproto.measure.ping.history import Bursts, ProbeHistory, RecentProbes
from echoproto.text.units import SECOND

MS = SECOND // 1000


class ProbeHistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(history, "MAX_RECENT", 50)
        self.kept = ProbeHistory(100 * MS)

    def test_bounded(self) -> None:
        """Only the last probes are kept; intervals and bursts stay exact."""
        whole = ProbeHistory(SECOND * 3600)
        for number in range(5000):
            for probes in (self.kept, whole):
                probes.append(SECOND + number * 20 * MS)
                if number % 7:
                    probes.settle(number, number * MS)
        self.assertLessEqual(len(self.kept.times), 150)
        self.assertEqual((self.kept.count, whole.first), (5000, 0))
        self.assertEqual(self.kept.intervals(), whole.intervals())
        self.assertEqual(vars(self.kept.bursts()), vars(whole.bursts()))
        self.assertEqual((4999 in self.kept, 0 in self.kept), (True, False))
        self.assertEqual((self.kept.took(0), self.kept.sentAt(0)), (-1, 0))
        self.assertEqual(self.kept.took(4999), 4999 * MS)

    def test_timeout(self) -> None:
        """A probe whose timeout is not over is kept, whatever the number of others."""
        for _ in range(200):
            self.kept.append(0)
        self.assertEqual((self.kept.first, self.kept.count), (0, 200))
        self.assertEqual(next(self.kept.unanswered()), 0)


class RecentProbesTests(SynchronousTestCase):
    def test_capacity(self) -> None:
        """At least as many probes as the capacity are kept, and at most twice as many."""
        kept = RecentProbes(0, 10)
        for number in range(100):
            kept.append(number)
            kept.settle(number, 7)
            self.assertLessEqual(len(kept.times), 20)
            self.assertGreaterEqual(len(kept.times), min(number + 1, 10))
        self.assertEqual((kept.count, kept.sentAt(99), kept.took(99)), (100, 99, 7))
        self.assertEqual((kept.sentAt(0), kept.took(0), 0 in kept), (0, -1, False))


class BurstsTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """A burst may continue from forgotten probes into recent ones."""
        bursts = Bursts()
        bursts.add([1, -1, -1])
        found = bursts.extended([-1, 5, -1])
        self.assertEqual((found.count, found.longest, found.length), (2, 3, 1))
        self.assertEqual((bursts.count, bursts.longest), (1, 2))
