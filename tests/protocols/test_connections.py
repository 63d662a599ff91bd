from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.protocols.connections import (
    CHECK_INTERVAL,
    CONNECTIONS_PER_TURN,
    DRAIN_CHECK_INTERVAL,
    ConnectionTracker,
    ITrackedConnection,
)
from echoproto.protocols.deadlines import CATCH_UP


@implementer(ITrackedConnection)
class RecordingConnection:
    """A connection that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str | float] = []
        self.onCheck: Callable[[], None] = lambda: None

    def checkTimeouts(self, now: float) -> None:
        self.calls.append(now)
        self.onCheck()

    def beginDrain(self) -> None:
        self.calls.append("drain")

    def abort(self) -> None:
        self.calls.append("abort")


verifyClass(ITrackedConnection, RecordingConnection)


class RecordingClock(Clock):
    """A clock that records the delays of its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.delays: list[float] = []

    def callLater(self, delay: float, *call: Any, **arguments: Any) -> Any:
        self.delays.append(delay)
        return super().callLater(delay, *call, **arguments)


class ConnectionTrackerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tracker = ConnectionTracker(self.clock)
        self.first, self.second = RecordingConnection(), RecordingConnection()

    def test_checksAll(self) -> None:
        """One scheduled call checks every connection at each interval, with the current time."""
        self.tracker.add(self.first)
        self.tracker.add(self.second)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.pump([CHECK_INTERVAL] * 2)
        self.assertEqual((self.first.calls, self.second.calls), ([1.0, 2.0], [1.0, 2.0]))

    def test_turns(self) -> None:
        """Many connections are checked over several turns of the reactor, each once."""
        clock = RecordingClock()
        tracker = ConnectionTracker(clock)
        connections = [RecordingConnection() for _ in range(2 * CONNECTIONS_PER_TURN)]
        for connection in connections:
            tracker.add(connection)
        clock.advance(CHECK_INTERVAL)
        self.assertEqual({tuple(connection.calls) for connection in connections}, {(1.0,)})
        self.assertEqual(clock.delays, [CHECK_INTERVAL, 0, 0, 0, CHECK_INTERVAL])

    def test_endedMeanwhile(self) -> None:
        """A connection that ended during another's check is not checked."""
        for connection, other in ((self.first, self.second), (self.second, self.first)):
            connection.onCheck = partial(self.tracker.remove, other)
            self.tracker.add(connection)
        self.clock.advance(CHECK_INTERVAL)
        self.assertEqual(sorted([self.first.calls, self.second.calls]), [[], [1.0]])

    def test_nothingOpen(self) -> None:
        """While no connection is open nothing is scheduled."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.tracker.add(self.first)
        self.tracker.remove(self.first)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.tracker.add(self.second)
        self.clock.advance(CHECK_INTERVAL)
        self.assertEqual((self.first.calls, self.second.calls), ([], [1.0]))

    def test_drain(self) -> None:
        """A drain notifies every connection, checks more often, and ends with the last one."""
        self.tracker.add(self.first)
        self.tracker.add(self.second)
        drained = self.tracker.drain(1.0)
        self.clock.advance(DRAIN_CHECK_INTERVAL)
        self.assertEqual(self.first.calls, ["drain", DRAIN_CHECK_INTERVAL])
        self.tracker.remove(self.first)
        self.assertNoResult(drained)
        self.tracker.remove(self.second)
        self.assertIsNone(self.successResultOf(drained))
        self.assertTrue(self.tracker.draining)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_heldUp(self) -> None:
        """After the process was held up, sockets are read before connections are checked."""
        self.tracker.add(self.first)
        self.clock.advance(100.0)
        self.assertEqual(self.first.calls, [])
        self.clock.advance(CATCH_UP)
        self.assertEqual(self.first.calls, [100.0])

    def test_drainHeldUp(self) -> None:
        """
        If the deadline of a drain passes while the process is held up, it is put off, once: clients
        that are answered only then may close in order.
        """
        self.tracker.add(self.first)
        self.tracker.drain(1.0)
        self.clock.advance(100.0)
        self.assertEqual(self.first.calls, ["drain"])
        self.clock.advance(CATCH_UP)
        self.assertEqual(self.first.calls, ["drain", 100.0])
        self.clock.advance(CATCH_UP)
        self.clock.advance(CATCH_UP)
        self.assertEqual(self.first.calls, ["drain", 100.0, "abort"])

    def test_drainWithoutConnections(self) -> None:
        """A drain without open connections is over at once."""
        self.successResultOf(self.tracker.drain(1.0))

    def test_drainDeadline(self) -> None:
        """At its deadline a drain aborts open connections; a second drain does not extend it."""
        self.tracker.add(self.first)
        self.tracker.drain(0.3)
        self.tracker.drain(60.0)
        self.clock.pump([0.1] * 3)
        self.assertEqual(self.first.calls[-1], "abort")
