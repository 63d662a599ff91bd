from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed
from echoproto.measure.ping import channel as ping
from echoproto.measure.ping.channel import PingChannel
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel, Target


class PingChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.target = Target()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def channel(self, *openings: Deferred[Any]) -> PingChannel:
        self.target.instead = list(openings)
        return PingChannel(self.target, self, self.clock, SECOND)  # type: ignore[arg-type]

    def test_opened(self) -> None:
        """An open channel has the times of its connection, and sends."""
        fake = FakeChannel(ordered=True)
        fake.handshakeTime = 7
        channel = self.channel(succeed(fake))
        self.assertEqual((channel.isOpen, channel.isOrdered, channel.waited), (False, False, 0))
        self.successResultOf(channel.open())
        channel.send(b"probe")
        self.assertEqual((channel.isOpen, channel.isOrdered, fake.sent), (True, True, [b"probe"]))
        self.assertEqual((channel.connecting.count, channel.securing.maximum), (1, 7))
        fake.wait = 3
        self.assertEqual(channel.waited, 3)

    def test_takeUnread(self) -> None:
        """Bytes on a stream that were not passed on are returned once; datagrams have none."""
        for ordered, unread in ((True, 5), (False, 0)):
            fake = FakeChannel(ordered)
            fake.unread = 5
            channel = self.channel(succeed(fake))
            self.successResultOf(channel.open())
            self.assertEqual((channel.takeUnread(), channel.takeUnread()), (unread, 0))

    def test_unconnected(self) -> None:
        """A datagram channel has no connect time, and is never blocked."""
        fake = FakeChannel(ordered=False)
        fake.connectTime = None
        channel = self.channel(succeed(fake))
        self.successResultOf(channel.open())
        self.assertEqual((channel.connecting.count, channel.isBlocked), (0, False))
        channel.close(isComplete=False)
        self.assertTrue(fake.aborted)

    def test_blocked(self) -> None:
        """A stream is blocked while its transport is full of unread probes; a new one is not."""
        self.patch(ping, "MAX_UNREAD_BYTES", 10)
        first, second = FakeChannel(ordered=True), FakeChannel(ordered=True)
        channel = self.channel(succeed(first), succeed(second))
        channel.open()
        first.producer.pauseProducing()
        for isBlocked in (False, True):
            channel.send(b"probe")
            self.assertIs(channel.isBlocked, isBlocked)
        first.producer.resumeProducing()
        channel.send(b"probe")
        first.producer.pauseProducing()
        self.assertFalse(channel.isBlocked)
        channel.close(isComplete=True)
        self.assertEqual((first.closed, first.aborted, first.producer), (True, False, None))
        channel.open()
        self.assertFalse(channel.isBlocked)

    def test_dropped(self) -> None:
        """Dropped replies add up over all channels."""
        first, second = FakeChannel(ordered=False), FakeChannel(ordered=False)
        channel = self.channel(succeed(first), succeed(second))
        first.drops, second.drops = 2, 3
        for dropped in (2, 5):
            channel.open()
            self.assertEqual(channel.dropped, dropped)
            channel.close(isComplete=True)
        self.assertEqual(channel.dropped, 5)

    def test_lost(self) -> None:
        """A lost connection is gone; a channel without connection can still be used."""
        for connectionless in (False, True):
            fake = FakeChannel(ordered=False)
            fake.connectionless = connectionless
            channel = self.channel(succeed(fake))
            channel.open()
            self.assertEqual((channel.lost(), channel.isOpen), (not connectionless, connectionless))
        self.assertTrue(self.channel().lost())

    def test_timeout(self) -> None:
        """A connection that is not made in time fails."""
        channel = self.channel(Deferred())
        opening = channel.open()
        self.assertTrue(channel.isOpening)
        self.clock.advance(1)
        self.failureResultOf(opening, ConnectionClosed)
        self.assertFalse(channel.isOpening)

    def test_ended(self) -> None:
        """The end cancels a connection attempt, and closes a connection that is made after all."""
        fake = FakeChannel(ordered=True)
        channel = self.channel(Deferred(lambda opening: opening.callback(fake)))
        opening = channel.open()
        channel.end(isComplete=True)
        self.failureResultOf(opening, CancelledError)
        self.assertEqual((fake.closed, channel.isOpen), (True, False))
        channel.end(isComplete=True)
