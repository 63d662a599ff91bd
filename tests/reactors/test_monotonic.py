from __future__ import annotations

import asyncio
from typing import Any

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.base import ReactorBase
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.reactors import monotonic as module
from echoproto.reactors.direct import DirectReactor
from echoproto.reactors.monotonic import useMonotonicTime


class FakeTime:
    """A wall clock and a monotonic clock controlled by the test."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.elapsed = 50.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed


class MonotonicTimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = FakeTime()
        self.patch(module, "time", self.time)
        self.patch(ReactorBase, "seconds", staticmethod(self.time.time))

    def adapted(self, reactor: Any) -> Any:
        self.addCleanup(reactor.removeAll)
        self.early: list[str] = []
        reactor.callLater(3.0, self.early.append, "before")
        useMonotonicTime(reactor)
        return reactor

    def asyncioReactor(self) -> Any:
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        return AsyncioSelectorReactor(loop)

    def reactors(self) -> list[Any]:
        return [self.adapted(SelectReactor()), self.adapted(self.asyncioReactor())]

    def test_setBack(self) -> None:
        """A wall clock set back by an hour delays no call."""
        for reactor in self.reactors():
            made: list[float] = []
            reactor.callLater(2.0, made.append, 1.0)
            self.time.wall -= 3600
            self.time.elapsed += 2.0
            reactor.runUntilCurrent()
            self.assertEqual(made, [1.0])

    def test_setForward(self) -> None:
        """A wall clock set forward triggers no call early."""
        for reactor in self.reactors():
            made: list[float] = []
            reactor.callLater(2.0, made.append, 1.0)
            self.time.wall += 3600
            self.time.elapsed += 1.5
            reactor.runUntilCurrent()
            self.assertEqual(made, [])
            self.assertAlmostEqual(reactor.timeout(), 0.5)

    def test_alreadyScheduled(self) -> None:
        """A call scheduled before the change keeps its time."""
        for make in (SelectReactor, self.asyncioReactor):
            reactor = self.adapted(make())
            self.time.elapsed += 2.9
            reactor.runUntilCurrent()
            self.assertEqual(self.early, [])
            self.time.elapsed += 0.2
            reactor.runUntilCurrent()
            self.assertEqual(self.early, ["before"])

    def test_leftAlone(self) -> None:
        """A Clock, the direct reactor, and a reactor that was changed before are not changed."""
        clock, direct, changed = Clock(), DirectReactor(), self.adapted(SelectReactor())
        self.addCleanup(direct.removeAll)
        for reactor in (clock, direct, changed):
            before = reactor.seconds
            useMonotonicTime(reactor)
            self.assertEqual(reactor.seconds, before)

    def test_direct(self) -> None:
        """The direct reactor continues from the time of day at its start."""
        direct = DirectReactor()
        self.addCleanup(direct.removeAll)
        self.time.wall -= 3600
        self.time.elapsed += 2.0
        self.assertEqual(direct.seconds(), 1_000_002.0)
