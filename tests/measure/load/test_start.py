from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.start import CONNECT_AHEAD, LoadStart
from echoproto.measure.load.timers import Timers
from echoproto.text.units import SECOND


class LoadStartTests(SynchronousTestCase):
    """The test is the pool."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.connections: list[str] = []
        self.pending = self.begun = 0

    def monotonicNs(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def open(self, count: int) -> None:
        self.pending += count

    def start(self, beginAt: int | None) -> LoadStart:
        pool: Any = self
        start = LoadStart(pool, LoadPlan(connections=2, beginAt=beginAt), self.begin)
        start.connect()
        return start

    def begin(self) -> None:
        self.begun += 1

    def opened(self, start: LoadStart) -> None:
        self.pending -= 1
        self.connections.append("open")
        start.proceed()

    def test_connected(self) -> None:
        """Without a time it begins once, when every attempt to connect is over."""
        start = self.start(None)
        self.opened(start)
        self.assertEqual((self.begun, start.hasBegun, start.isWaiting), (0, False, False))
        self.opened(start)
        start.proceed()
        self.assertEqual((self.begun, start.hasBegun), (1, True))

    def test_onTime(self) -> None:
        """With a time it connects shortly before, and begins then with the open connections."""
        start = self.start(CONNECT_AHEAD + SECOND)
        self.clock.advance(0.9)
        self.assertEqual((self.pending, start.isWaiting), (0, True))
        self.clock.advance(0.2)
        self.assertEqual(self.pending, 2)
        self.opened(start)
        self.assertEqual(self.begun, 0)
        self.clock.advance(CONNECT_AHEAD / SECOND)
        self.assertEqual((self.begun, start.isWaiting), (1, False))

    def test_late(self) -> None:
        """After its time it begins with the first connection, or when no attempt is left."""
        for attempts in (1, 2):
            self.setUp()
            start = self.start(-SECOND)
            self.assertEqual((self.begun, self.pending), (0, 2))
            if attempts == 1:
                self.opened(start)
            else:
                self.pending = 0
                start.proceed()
            self.assertEqual(self.begun, 1)
