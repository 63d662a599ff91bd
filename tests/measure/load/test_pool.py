from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed
from echoproto.measure.load.pool import NO_REPLY, RECONNECT_DELAY, TIMEOUT_CHECKS, ConnectionPool
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel

TIMEOUT = SECOND


class FakeConnection:
    """Records its calls."""

    underWay = 0
    channel: Any = None

    def __init__(self) -> None:
        self.limits: list[int] = []

    def opened(self, channel: Any) -> None:
        self.channel = channel

    def giveUp(self, before: int, now: int) -> None:
        self.limits.append(before)

    def close(self) -> None:
        self.channel.close()


class PoolTests(SynchronousTestCase):
    # Of the target.
    ordered = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.openings: list[Deferred[Any]] = []
        self.attempts: list[Any] = []
        target: Any = self
        self.pool = ConnectionPool(
            target, self.makeConnection, self.clock, self.now, TIMEOUT, self.attempts.append
        )

        self.addCleanup(self.pool.timers.end)

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def makeConnection(self) -> Any:
        return FakeConnection()

    def open(self, receiver: Any) -> Deferred[Any]:
        """The target: open a channel."""
        return self.openings.pop(0)

    def opened(self, count: int = 1) -> list[Any]:
        """Connections that are open."""
        self.openings += [succeed(FakeChannel()) for _ in range(count)]
        self.pool.open(count)
        return list(self.pool.connections)

    def test_warn(self) -> None:
        """An error that ends no connection is counted by its reason."""
        for _ in range(2):
            self.pool.warn("not sent")
        self.assertEqual(self.pool.errors, {"not sent": 2})

    def test_open(self) -> None:
        """It opens a number of connections, and records the times to connect."""
        connections = self.opened(2)
        self.assertEqual((self.attempts, self.pool.pending), (connections, 0))
        self.assertEqual((self.pool.connected, self.pool.failures), (2, 0))
        self.assertEqual(
            (self.pool.connecting.count, self.pool.connecting.maximum), (2, FakeChannel.connectTime)
        )

    def test_datagrams(self) -> None:
        """A UDP port has no connect time."""
        self.patch(FakeChannel, "connectTime", None)
        self.opened()
        self.assertEqual(self.pool.connecting.count, 0)

    def test_failed(self) -> None:
        """A failed attempt counts as an error, and is reported without a connection."""
        self.openings.append(fail(ConnectionRefusedError()))
        self.pool.open(1)
        self.assertEqual((self.attempts, self.pool.connections), ([None], []))
        self.assertEqual((self.pool.errors.total(), self.pool.failures), (1, 1))
        self.pool.failure.trap(ConnectionRefusedError)

    def test_timeout(self) -> None:
        """An attempt to connect fails after the timeout."""
        self.openings.append(Deferred())
        self.pool.open(1)
        self.assertEqual(self.pool.pending, 1)
        self.clock.advance(TIMEOUT / SECOND)
        self.assertEqual((self.attempts, self.pool.pending), ([None], 0))
        self.pool.failure.trap(ConnectionClosed)
        self.assertEqual(self.pool.errors, {"no connection in 1 s": 1})

    def test_openLater(self) -> None:
        """A lost connection is counted, and replaced after a delay."""
        [connection] = self.opened()
        self.pool.remove(connection, "lost")
        self.pool.openLater()
        self.assertEqual((self.pool.connections, self.pool.pending), ([], 1))
        self.openings.append(succeed(FakeChannel()))
        self.clock.advance(RECONNECT_DELAY / SECOND)
        self.assertEqual((len(self.pool.connections), self.pool.pending), (1, 0))
        self.assertEqual((self.pool.errors, self.pool.disconnects), ({"lost": 1}, 1))
        self.pool.failure.trap(ConnectionClosed)
        self.assertEqual(self.pool.failure.getErrorMessage(), "lost")

    def test_dropped(self) -> None:
        """The drops of all connections are added."""
        for drops, connection in enumerate(self.opened(3)):
            connection.dropped = drops
        self.assertEqual(self.pool.dropped, 3)

    def test_isIdle(self) -> None:
        """It is idle if no connection awaits a reply."""
        first, _ = self.opened(2)
        self.assertTrue(self.pool.isIdle)
        first.underWay = 1
        self.assertFalse(self.pool.isIdle)

    def test_checkTimeouts(self) -> None:
        """Overdue replies are given up, except after a pause of this process."""
        [connection] = self.opened()
        self.pool.checkTimeouts()
        interval = TIMEOUT // TIMEOUT_CHECKS
        self.clock.advance(interval / SECOND)
        self.clock.advance(5 * interval / SECOND)
        self.clock.advance(interval / SECOND)
        self.assertEqual(connection.limits, [n * interval - TIMEOUT for n in (0, 1, 7)])

    def test_giveUpAll(self) -> None:
        """At the end missing datagrams are given up; on streams they are counted only."""
        [connection] = self.opened()
        connection.underWay = 3
        self.clock.advance(1)
        for self.ordered, expected in ((False, {}), (True, {NO_REPLY: 3})):
            self.pool.giveUpAll()
            self.assertEqual(self.pool.errors, expected)
        self.assertEqual((connection.limits, self.pool.disconnects), ([SECOND], 0))

    def test_close(self) -> None:
        """close() closes all connections, and cancels attempts, which counts as no failure."""
        late: Deferred[Any] = Deferred(lambda opening: opening.callback(channel))
        channel = FakeChannel()
        [connection] = self.opened()
        self.openings.append(late)
        self.openings.append(Deferred())
        self.pool.open(2)
        self.pool.close()
        self.assertTrue(connection.channel.closed)
        self.assertTrue(channel.closed)
        self.assertEqual((self.pool.failures, self.pool.errors), (0, {}))
        self.assertEqual(self.attempts, [connection])
