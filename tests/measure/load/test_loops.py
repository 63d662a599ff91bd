from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice, repeat
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.counters import LoadCounters
from echoproto.measure.load.loops import (
    BUSY_WAIT_NS,
    MAX_SENDS_PER_TURN,
    NO_CONNECTION,
    TOO_SLOW,
    ClosedLoop,
    OpenLoop,
)
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.schedule import fixed
from echoproto.measure.load.timers import Timers
from echoproto.text.units import SECOND
from tests.measure.load.test_connections import ConnectionTestCase

MS = SECOND // 1000


class SentMessages:
    """A connection that records the messages that a loop sends on it."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int, int]] = []

    def send(self, message: bytes, due: int, now: int) -> None:
        self.sent.append((message, due, now))


class OpenLoopTests(ConnectionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sender: Any = SentMessages()
        self.openLoop = self.loop(OpenLoop, b"one")

    def test_late(self) -> None:
        """The lateness of a message is the time from when it was due until it is sent."""
        self.openLoop.sent(3, 70, 100)
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (1, 3))
        self.assertEqual(self.counts.late.maximum, 30)

    def test_waited(self) -> None:
        """The time in which no connection was ready does not count as lateness."""
        self.openLoop._waitedUntil = 90
        self.openLoop.sent(3, 70, 100)
        self.assertEqual(self.counts.late.maximum, 10)

    def test_answered(self) -> None:
        """A reply counts, and no message follows it."""
        self.openLoop.answered(self.sender, 3, 70, 100, 140, False)
        self.assertEqual((self.counts.bytesReceived, self.counts.wrong), (3, 1))
        self.assertEqual((self.counts.service.maximum, self.counts.response.maximum), (40, 70))
        self.assertEqual((self.idle, self.sender.sent), (1, []))

    def test_warmup(self) -> None:
        """A reply to a message that was sent before the beginning does not count."""
        self.counters.restart(101)
        self.openLoop.count(3, 70, 100, 140, False)
        self.assertFalse(self.counts)

    def test_lost(self) -> None:
        """After a reply is given up, no message is sent."""
        self.openLoop.settled(self.sender, 100)
        self.assertEqual((self.idle, self.sender.sent), (1, []))


class ClosedLoopTests(ConnectionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sender: Any = SentMessages()
        self.closedLoop = self.loop(ClosedLoop, b"one")

    def test_sent(self) -> None:
        """No message is late."""
        self.closedLoop.sent(3, 100, 100)
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (1, 3))
        self.assertEqual(self.counts.late.count, 0)

    def test_answered(self) -> None:
        """A reply is followed by the next message, until there is none."""
        for now in (140, 150):
            self.closedLoop.answered(self.sender, 3, 100, 100, now, True)
        self.assertEqual(self.sender.sent, [(b"one", 140, 140)])
        self.assertEqual((self.counts.service.count, self.counts.response.count), (2, 0))
        self.assertEqual(self.idle, 1)

    def test_warmup(self) -> None:
        """A reply to a message that was sent before the beginning does not count."""
        self.counters.restart(101)
        self.closedLoop.count(3, 100, 100, 140, False)
        self.assertFalse(self.counts)

    def test_lost(self) -> None:
        """After a reply is given up, the next message is sent."""
        self.closedLoop.settled(self.sender, 100)
        self.assertEqual(self.sender.sent, [(b"one", 100, 100)])


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

    def loop(self, kind: Any, plan: LoadPlan, busyWaitNs: int = 0) -> Any:
        pool = SimpleNamespace(
            monotonicNs=self.now,
            warn=self.lost.append,
            connections=self.connections,
            timers=self.timers,
        )
        end = self.finished
        return kind(pool, self.counters, self.messages, plan, end, None, busyWaitNs)

    def finished(self) -> None:
        """There is no further message."""

    @property
    def sent(self) -> list[int]:
        """The number of messages on each connection."""
        return [connection.underWay for connection in self.connections]


class ClosedLoopSendingTests(SenderTestCase):
    def sender(self, window: int) -> ClosedLoop:
        return cast(ClosedLoop, self.loop(ClosedLoop, LoadPlan(window=window)))

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


class OpenLoopSendingTests(SenderTestCase):
    def sender(self, times: Any, busyWaitNs: int = 0) -> OpenLoop:
        return cast(OpenLoop, self.loop(OpenLoop, LoadPlan(times=times), busyWaitNs))

    def test_times(self) -> None:
        """Messages are sent at their times, on one connection after the other."""
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
        self.assertGreater(sender._waitedUntil, 11 * MS)
        second.isReady = True
        self.clock.advance(0.002)
        self.assertEqual(second.due[:12], [number * MS for number in range(4, 16)])
        sender.loseUnsent(20 * MS)
        self.assertEqual(self.lost, [])

    def test_neverRead(self) -> None:
        """Messages not sent by the end are lost with a reason, up to the number of messages."""
        for connection in self.connections:
            connection.isReady = False
        self.messages = islice(self.messages, 3)
        sender = self.sender(fixed(1000))
        sender.start(0)
        sender.loseUnsent(10 * MS)
        self.assertEqual((self.counters.counts.sent, self.lost), (3, [TOO_SLOW] * 3))
