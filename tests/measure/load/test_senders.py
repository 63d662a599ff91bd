from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice, repeat
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.loops import ClosedLoop, OpenLoop
from echoproto.measure.load.schedule import fixed
from echoproto.measure.load.senders import (
    BUSY_WAIT_NS,
    MAX_SENDS_PER_TURN,
    NO_CONNECTION,
    TOO_SLOW,
    ClosedLoopSender,
    OpenLoopSender,
)
from echoproto.measure.load.timers import Timers
from echoproto.units import SECOND

MS = SECOND // 1000


class FakeConnection:
    """Records when its messages were due; replies are never received."""

    isReady = True

    def __init__(self) -> None:
        self.due: list[int] = []

    @property
    def underWay(self) -> int:
        return len(self.due)

    def send(self, message: bytes, due: int, now: int) -> None:
        self.due.append(due)


class SenderTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.addCleanup(self.timers.end)
        self.connections: list[Any] = [FakeConnection(), FakeConnection()]
        self.counters = LoadCounters()
        self.messages: Iterator[bytes] = cycle([b"message"])
        self.lost: list[str] = []

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def loop(self, kind: Any) -> Any:
        return kind(self.now, self.counters, self.messages, None, None, self.lost.append)

    @property
    def sent(self) -> list[int]:
        """The number of messages on each connection."""
        return [connection.underWay for connection in self.connections]


class ClosedLoopSenderTests(SenderTestCase):
    def sender(self, window: int) -> ClosedLoopSender:
        return ClosedLoopSender(self.loop(ClosedLoop), self.connections, self.timers, window)

    def test_window(self) -> None:
        """It fills the window of each connection."""
        self.sender(3).start(0)
        self.assertEqual(self.sent, [3, 3])

    def test_opened(self) -> None:
        """It fills the window of a connection that is opened later, unless stopped."""
        sender = self.sender(2)
        sender.start(0)
        late, tooLate = FakeConnection(), FakeConnection()
        sender.opened(late)  # type: ignore[arg-type]  # a part of a connection
        sender.stop()
        sender.opened(tooLate)  # type: ignore[arg-type]  # likewise
        sender.loseUnsent(0)
        self.assertEqual(self.counters.counts.sent, 0)
        self.assertEqual((late.underWay, tooLate.underWay), (2, 0))

    def test_large(self) -> None:
        """A large window is filled in several turns while its connection is open."""
        self.sender(2 * MAX_SENDS_PER_TURN).start(0)
        self.assertEqual(self.sent, [MAX_SENDS_PER_TURN, MAX_SENDS_PER_TURN])
        first = self.connections.pop(0)
        self.clock.advance(0)
        self.assertEqual(first.underWay, MAX_SENDS_PER_TURN)
        self.assertEqual(self.sent, [2 * MAX_SENDS_PER_TURN])


class OpenLoopSenderTests(SenderTestCase):
    def sender(self, times: Any, busyWaitNs: int = 0) -> OpenLoopSender:
        loop = self.loop(OpenLoop)
        return OpenLoopSender(loop, self.connections, self.timers, times, busyWaitNs)

    def test_times(self) -> None:
        """It sends at the times, on one connection after the other."""
        sender = self.sender(fixed(100))
        sender.opened(self.connections[0])
        sender.start(0)
        for _ in range(3):
            self.clock.advance(0.01)
        due = [connection.due for connection in self.connections]
        self.assertEqual(due, [[10 * MS, 30 * MS], [0, 20 * MS]])

    def test_busyWait(self) -> None:
        """It wakes up shortly before a message is due, to wait in a busy loop."""
        self.sender(fixed(100), BUSY_WAIT_NS).start(0)
        [call] = self.clock.getDelayedCalls()
        self.assertAlmostEqual(call.getTime(), 0.01 - BUSY_WAIT_NS / SECOND)

    def test_manyDue(self) -> None:
        """If many messages are due, the reactor may read between them."""
        sender = self.sender(repeat(0))
        sender.start(0)
        self.assertEqual(sum(self.sent), MAX_SENDS_PER_TURN)
        sender.stop()
        self.clock.advance(0)
        self.assertEqual(sum(self.sent), MAX_SENDS_PER_TURN)

    def test_noConnection(self) -> None:
        """Without a connection it waits for one, and then sends all that is due."""
        self.connections.clear()
        self.sender(fixed(1000)).start(0)
        for _ in range(5):
            self.clock.advance(0.001)
        self.connections.append(FakeConnection())
        self.clock.advance(0.002)
        self.assertEqual(self.connections[0].due[:5], [number * MS for number in range(5)])

    def test_missed(self) -> None:
        """At the end, messages that were due while there was no connection are lost."""
        self.connections.clear()
        sender = self.sender(fixed(1000))
        sender.start(0)
        sender.loseUnsent(5 * MS)
        self.assertEqual((self.counters.counts.sent, self.lost), (6, [NO_CONNECTION] * 6))

    def test_blocked(self) -> None:
        """
        While a server does not read, messages wait with their times, on other connections if there
        are any; the wait makes none of them late.
        """
        first, second = self.connections
        second.isReady = False
        sender = self.sender(fixed(1000))
        sender.start(0)
        for _ in range(3):
            self.clock.advance(0.001)
        self.assertEqual(self.sent, [4, 0])
        first.isReady = False
        for _ in range(10):
            self.clock.advance(0.001)
        self.assertEqual(self.sent, [4, 0])
        self.assertGreater(sender._loop.waitedUntil, 11 * MS)
        second.isReady = True
        self.clock.advance(0.002)
        self.assertEqual(second.due[:12], [number * MS for number in range(4, 16)])
        sender.loseUnsent(20 * MS)
        self.assertEqual(self.lost, [])

    def test_neverRead(self) -> None:
        """What could not be sent by the end is lost with a reason, up to the number of messages."""
        for connection in self.connections:
            connection.isReady = False
        self.messages = islice(self.messages, 3)
        sender = self.sender(fixed(1000))
        sender.start(0)
        sender.loseUnsent(10 * MS)
        self.assertEqual((self.counters.counts.sent, self.lost), (3, [TOO_SLOW] * 3))
