from __future__ import annotations

from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.status.recent import MAXIMUM_AGE, REUSE, RecentMetrics


class RecentMetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.cpu = Clock(), Clock()
        self.cost = 0.001
        self.made: list[bytes | Deferred[bytes]] = [b"1", b"2"]
        state = mock.Mock(metrics=self.make)
        self.metrics = RecentMetrics(state, self.clock.seconds, self.cpu.seconds)

    def make(self) -> bytes | Deferred[bytes]:
        self.cpu.advance(self.cost)
        # Another process has the processor.
        self.clock.advance(self.cost + 1)
        return self.made.pop(0)

    def test_reused(self) -> None:
        """
        Metrics are used again for four times the processor's time that they took to make, however
        long other processes had it.
        """
        self.assertEqual(self.metrics(), b"1")
        self.clock.advance(REUSE * self.cost - 0.001)
        self.assertEqual(self.metrics(), b"1")
        self.clock.advance(0.002)
        self.assertEqual(self.metrics(), b"2")

    def test_maximumAge(self) -> None:
        """Metrics are never older than 5 ms, however long they took."""
        self.cost = 10
        self.metrics()
        self.clock.advance(MAXIMUM_AGE - 0.001)
        self.assertEqual(self.metrics(), b"1")
        self.clock.advance(0.002)
        self.assertEqual(self.metrics(), b"2")

    def test_cheap(self) -> None:
        """Metrics that took no time are made for every request."""
        self.cost = 0
        self.assertEqual([self.metrics(), self.metrics()], [b"1", b"2"])

    def test_later(self) -> None:
        """Metrics that are ready later are made for every request."""
        later: list[bytes | Deferred[bytes]] = [Deferred(), Deferred()]
        self.made[:] = later
        self.assertEqual([self.metrics(), self.metrics()], later)
