from __future__ import annotations

from typing import Any

from echoproto.measure.load.loops import ClosedLoop, OpenLoop
from tests.measure.load.test_connections import ConnectionTestCase


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
        """A message is late by the time between when it was due and when it is sent."""
        self.openLoop.sent(3, 70, 100)
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (1, 3))
        self.assertEqual(self.counts.late.maximum, 30)

    def test_waited(self) -> None:
        """The time in which no connection was ready makes no message late."""
        self.openLoop.waitedUntil = 90
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
        """A given-up reply is not followed by a message."""
        self.openLoop.lost(self.sender, 100)
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
        """A given-up reply is followed by the next message."""
        self.closedLoop.lost(self.sender, 100)
        self.assertEqual(self.sender.sent, [(b"one", 100, 100)])
