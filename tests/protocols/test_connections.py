from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.protocols.connections import (
    CONNECTIONS_PER_TURN,
    DRAIN_SWEEP_INTERVAL,
    SWEEP_INTERVAL,
    ConnectionTracker,
    ITrackedConnection,
)


@implementer(ITrackedConnection)
class Noting:
    """A connection that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str | float] = []
        self.onSweep: Callable[[], None] = lambda: None

    def checkTimeouts(self, now: float) -> None:
        self.told.append(now)
        self.onSweep()

    def beginDrain(self) -> None:
        self.told.append("drain")

    def abort(self) -> None:
        self.told.append("abort")


verifyClass(ITrackedConnection, Noting)


class NotingClock(Clock):
    """A clock that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []

    def callLater(self, delay: float, *call: Any, **arguments: Any) -> Any:
        self.delays.append(delay)
        return super().callLater(delay, *call, **arguments)


class SweepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.checkTimeouts = ConnectionTracker(self.clock)
        self.first, self.second = Noting(), Noting()

    def test_sweepsAll(self) -> None:
        """Every connection is told the time at each interval, by one scheduled call."""
        self.checkTimeouts.add(self.first)
        self.checkTimeouts.add(self.second)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([SWEEP_INTERVAL] * 2)
        self.assertEqual((self.first.told, self.second.told), ([1.0, 2.0], [1.0, 2.0]))

    def test_turns(self) -> None:
        """Of many connections some are swept in each turn of the reactor, each once."""
        clock = NotingClock()
        sweep = ConnectionTracker(clock)
        connections = [Noting() for _ in range(2 * CONNECTIONS_PER_TURN)]
        for each in connections:
            sweep.add(each)
        clock.advance(SWEEP_INTERVAL)
        self.assertEqual({tuple(each.told) for each in connections}, {(1.0,)})
        self.assertEqual(clock.delays, [SWEEP_INTERVAL, 0, 0, SWEEP_INTERVAL])

    def test_endedMeanwhile(self) -> None:
        """A connection that another's sweep has ended is not swept."""
        for each, other in ((self.first, self.second), (self.second, self.first)):
            each.onSweep = partial(self.checkTimeouts.remove, other)
            self.checkTimeouts.add(each)
        self.clock.advance(SWEEP_INTERVAL)
        self.assertEqual(sorted([self.first.told, self.second.told]), [[], [1.0]])

    def test_nothingOpen(self) -> None:
        """While nothing is open nothing is scheduled."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.checkTimeouts.add(self.first)
        self.checkTimeouts.remove(self.first)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.checkTimeouts.add(self.second)
        self.clock.advance(SWEEP_INTERVAL)
        self.assertEqual((self.first.told, self.second.told), ([], [1.0]))

    def test_drain(self) -> None:
        """A drain tells every connection, sweeps often, and is over when the last is removed."""
        self.checkTimeouts.add(self.first)
        self.checkTimeouts.add(self.second)
        drained = self.checkTimeouts.drain(1.0)
        self.clock.advance(DRAIN_SWEEP_INTERVAL)
        self.assertEqual(self.first.told, ["drain", DRAIN_SWEEP_INTERVAL])
        self.checkTimeouts.remove(self.first)
        self.assertNoResult(drained)
        self.checkTimeouts.remove(self.second)
        self.assertIsNone(self.successResultOf(drained))
        self.assertTrue(self.checkTimeouts.draining)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_drainHeldUp(self) -> None:
        """A sweep that comes late in a drain finds nobody silent, save at the deadline."""
        self.checkTimeouts.add(self.first)
        self.checkTimeouts.drain(1.0)
        self.clock.advance(0.7)
        self.clock.advance(DRAIN_SWEEP_INTERVAL)
        self.assertEqual(self.first.told[:2], ["drain", "drain"])
        self.assertAlmostEqual(float(self.first.told[2]), 0.8)
        self.clock.advance(0.5)
        self.assertEqual(self.first.told[3:], ["abort"])

    def test_drainNothing(self) -> None:
        """A drain with nothing open is over at once."""
        self.successResultOf(self.checkTimeouts.drain(1.0))

    def test_drainDeadline(self) -> None:
        """At its deadline a drain aborts what is open; a later one does not put it off."""
        self.checkTimeouts.add(self.first)
        self.checkTimeouts.drain(0.3)
        self.checkTimeouts.drain(60.0)
        self.clock.pump([0.1] * 3)
        self.assertEqual(self.first.told[-1], "abort")
