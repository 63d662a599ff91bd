from __future__ import annotations

from collections.abc import Callable, Iterator
from errno import EAGAIN, ECONNRESET
from types import SimpleNamespace
from typing import Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.measure.load import connections
from echoproto.measure.load.connections import (
    PipelinedConnection,
    SequentialConnection,
)
from echoproto.measure.load.counters import IntervalCounts, LoadCounters
from echoproto.measure.load.loops import ClosedLoop, OpenLoop
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.pool import NO_REPLY
from echoproto.reactors.relay import RECEIVE_SIZE, RelayStream
from tests.measure.fakes import FakeChannel


class ConnectionTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 100
        self.counters = LoadCounters()
        self.idle = 0
        self.warnings: list[str] = []
        self.ended: list[Any] = []
        self.channel: Any = FakeChannel()
        self.channel.drops = 3

    @property
    def counts(self) -> IntervalCounts:
        return self.counters.counts

    def loop(self, kind: Callable[..., Any], *messages: bytes) -> Any:
        source: Iterator[bytes] = iter(messages)
        pool = SimpleNamespace(
            monotonicNs=lambda: self.time, warn=self.warnings.append, connections=[], timers=None
        )
        plan = LoadPlan()
        return kind(pool, self.counters, source, plan, self.finished, self.connectionLost)

    def finished(self) -> None:
        self.idle += 1

    def connectionLost(self, connection: Any, reason: str) -> None:
        self.ended.append((connection, reason))

    def opened(self, connection: Any) -> Any:
        verifyObject(IReplyReceiver, connection)
        connection.opened(self.channel)
        return connection

    def receive(self, connection: Any, *pieces: bytes) -> None:
        for piece in pieces:
            self.time += 10
            connection.replyReceived(piece)


class OpenTests(ConnectionTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = self.opened(PipelinedConnection(self.loop(OpenLoop)))

    def test_times(self) -> None:
        """Response time counts from when a message was due, service time from when it was sent."""
        self.connection.send(b"one", 70, 100)
        self.receive(self.connection, b"one")
        found = (self.counts.late, self.counts.service, self.counts.response)
        self.assertEqual([interval.maximum for interval in found], [30, 10, 40])
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (1, 3))
        self.assertEqual((self.counts.bytesReceived, self.counts.wrong), (3, 0))
        self.assertEqual((self.idle, self.connection.underWay), (1, 0))

    def test_backpressure(self) -> None:
        """It is not ready while the transport is full, or too many replies are awaited."""
        producer = self.channel.producer
        for call, isReady in (
            (producer.pauseProducing, False),
            (producer.resumeProducing, True),
            (producer.stopProducing, True),
        ):
            call()
            self.assertEqual(self.connection.isReady, isReady)
        self.patch(connections, "MAX_UNDER_WAY", 1)
        self.connection.send(b"one", 70, 100)
        self.assertFalse(self.connection.isReady)
        self.connection.close()
        self.assertIsNone(self.channel.producer)

    def test_pieces(self) -> None:
        """Replies may arrive in pieces, or several together; each is compared with its message."""
        for message in (b"one", b"two2", b"three"):
            self.connection.send(message, 100, 100)
        self.assertEqual(self.connection.underWay, 3)
        self.receive(self.connection, b"on", b"etwo", b"2thrEe")
        self.assertEqual((self.counts.service.count, self.counts.wrong), (3, 1))
        self.assertEqual(self.counts.bytesReceived, 12)

    def test_foreign(self) -> None:
        """Unexpected data is wrong, and does not become part of a later reply."""
        self.connection.send(b"one", 100, 100)
        self.receive(self.connection, b"onemore")
        self.assertEqual((self.counts.wrong, self.counts.bytesReceived), (1, 7))
        self.connection.send(b"two", 110, 110)
        self.receive(self.connection, b"two")
        self.assertEqual((self.counts.wrong, self.counts.service.count), (1, 2))

    def test_warmup(self) -> None:
        """A reply to a message that was sent before the beginning does not count."""
        self.connection.send(b"one", 100, 100)
        self.counters.restart(105)
        self.receive(self.connection, b"one")
        self.assertFalse(self.counts)
        self.assertEqual(self.idle, 1)

    def test_gone(self) -> None:
        """After a connection has ended, no message is under way."""
        self.connection.send(b"one", 100, 100)
        self.connection.connectionLost("lost")
        self.assertEqual((self.connection.underWay, self.ended), (0, [(self.connection, "lost")]))

    def test_close(self) -> None:
        """It closes its channel, and aborts it if a reply is under way."""
        self.connection.close()
        self.assertEqual((self.channel.closed, self.channel.aborted), (True, False))
        self.connection.send(b"one", 100, 100)
        self.connection.close()
        self.assertTrue(self.channel.aborted)


class ClosedTests(ConnectionTestCase):
    def test_window(self) -> None:
        """A reply is followed by the next message until all are sent."""
        loop = self.loop(ClosedLoop, b"one", b"two", b"three")
        connection = self.opened(PipelinedConnection(loop))
        for _ in range(2):
            loop.settled(connection, 100)
        self.receive(connection, b"one", b"twothrEe")
        self.assertEqual(self.channel.sent, [b"one", b"two", b"three"])
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (3, 11))
        self.assertEqual((self.counts.bytesReceived, self.counts.wrong), (11, 1))
        found = (self.counts.service.maximum, self.counts.response.count, self.counts.late.count)
        self.assertEqual(found, (20, 0, 0))
        self.assertEqual(self.idle, 2)

    def test_warmup(self) -> None:
        """The reply to a message of the warm-up does not count, but the next message is sent."""
        loop = self.loop(ClosedLoop, b"one", b"two")
        connection = self.opened(PipelinedConnection(loop))
        loop.settled(connection, 100)
        self.counters.restart(105)
        self.receive(connection, b"one")
        self.assertEqual((self.counts.sent, self.counts.service.count), (1, 0))

    def test_excess(self) -> None:
        """Data after the last reply is wrong, and not taken for the reply to the next message."""
        loop = self.loop(ClosedLoop, b"one", b"two")
        connection = self.opened(PipelinedConnection(loop))
        loop.settled(connection, 100)
        self.receive(connection, b"oneone", b"two", b"x")
        self.assertEqual((self.counts.service.count, self.counts.wrong), (2, 2))


class GivenUpTests(ConnectionTestCase):
    def test_givenUp(self) -> None:
        """A connection is closed and lost if its next reply is overdue, and only then."""
        for kind in (PipelinedConnection, SequentialConnection):
            self.setUp()
            connection = self.opened(kind(self.loop(ClosedLoop)))
            connection.giveUp(200, 300)
            connection.send(b"one", 100, 100)
            connection.giveUp(99, 199)
            self.assertEqual((self.ended, self.channel.closed), ([], False))
            connection.giveUp(100, 200)
            self.assertEqual((self.ended, self.channel.aborted), ([(connection, NO_REPLY)], True))
            self.assertEqual(connection.underWay, 0)


class LostTests(ConnectionTestCase):
    def test_lost(self) -> None:
        """After a missing reply, a closed loop sends the next message; an open loop does not."""
        connection = self.opened(PipelinedConnection(self.loop(OpenLoop)))
        self.loop(OpenLoop).settled(connection, 100)
        self.assertEqual((self.channel.sent, self.idle), ([], 1))
        self.loop(ClosedLoop, b"one").settled(connection, 100)
        self.assertEqual((self.channel.sent, self.idle), ([b"one"], 1))


class SequentialTests(ConnectionTestCase):
    def connection(self, *messages: bytes) -> Any:
        """The first message is under way."""
        loop = self.loop(ClosedLoop, *messages)
        connection = self.opened(SequentialConnection(loop))
        self.assertEqual(connection.underWay, 0)
        loop.settled(connection, 100)
        return connection

    def test_whole(self) -> None:
        """A whole reply is followed by the next message; its time counts from the last reply."""
        connection = self.connection(b"one", b"two2")
        self.receive(connection, b"one", b"two2")
        self.assertEqual(self.channel.sent, [b"one", b"two2"])
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (2, 7))
        self.assertEqual((self.counts.bytesReceived, self.counts.wrong), (7, 0))
        service = self.counts.service
        self.assertEqual((service.count, service.minimum, service.maximum), (2, 10, 10))
        self.assertEqual((self.idle, connection.underWay), (1, 0))

    def test_pieces(self) -> None:
        """A reply in pieces is put together and compared; its time ends with its last piece."""
        connection = self.connection(b"one", b"two2", b"3")
        self.receive(connection, b"o", b"ne", b"two", b"3", b"3")
        self.assertEqual((self.counts.service.count, self.counts.wrong), (3, 1))
        self.assertEqual(self.counts.service.maximum, 20)
        self.assertEqual(self.counts.bytesReceived, 8)

    def test_foreign(self) -> None:
        """Data after a reply is wrong, and so is data while no reply is due."""
        connection = self.connection(b"one", b"two")
        self.receive(connection, b"onemore")
        self.assertEqual((self.counts.wrong, self.counts.bytesReceived), (1, 7))
        self.receive(connection, b"two", b"more")
        self.assertEqual((self.counts.wrong, self.counts.bytesReceived), (2, 14))
        self.assertEqual(self.counts.service.count, 2)

    def test_insertedBefore(self) -> None:
        """A right reply after an additional byte is wrong."""
        connection = self.connection(b"one")
        self.receive(connection, b"x", b"one")
        self.assertEqual((self.counts.wrong, self.counts.bytesReceived), (2, 4))

    def test_warmup(self) -> None:
        """The reply to a message of the warm-up does not count, but the next message is sent."""
        connection = self.connection(b"one", b"two")
        self.counters.restart(105)
        self.receive(connection, b"one")
        self.assertEqual((self.counts.sent, self.counts.service.count), (1, 0))

    def test_gone(self) -> None:
        """After a connection has ended, no message is under way."""
        connection = self.connection(b"one")
        connection.connectionLost("lost")
        self.assertEqual((connection.underWay, self.ended), (0, [(connection, "lost")]))

    def test_close(self) -> None:
        """It closes its channel."""
        self.connection(b"one").close()
        self.assertTrue(self.channel.closed)


class FakeSocket:
    """
    Returns or raises what a test lists.

    :ivar received: data, or errors, of the next calls of ``recv``.
    :ivar accepted: bytes accepted by the next calls of ``send``, or errors; then all bytes.
    """

    def __init__(self) -> None:
        self.received: list[bytes | int] = []
        self.accepted: list[int] = []
        self.sent: list[bytes] = []

    def recv(self, size: int) -> bytes:
        data = self.received.pop(0)
        if isinstance(data, int):
            raise OSError(data, "no data")
        assert len(data) <= size
        return data

    def send(self, data: bytes) -> int:
        count = self.accepted.pop(0) if self.accepted else len(data)
        if count < 0:
            raise OSError(EAGAIN, "no room")
        self.sent.append(data[:count])
        return count


class FakeDirectTransport(RelayStream):
    """A transport of the direct reactor on a fake socket; records what is written and its reads."""

    def __init__(self, receiver: Any) -> None:
        self.socket: Any = FakeSocket()
        self.written: list[bytes] = []
        self.reads = 0
        self.protocol: Any = Protocol()
        self.protocol.dataReceived = receiver.replyReceived  # type: ignore[method-assign]

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def doRead(self) -> None:
        self.reads += 1


class DirectTests(ConnectionTestCase):
    def connection(self, *messages: bytes) -> Any:
        """The first message is under way."""
        loop = self.loop(ClosedLoop, *messages)
        connection = SequentialConnection(loop)
        self.transport = self.channel.transport = FakeDirectTransport(connection)
        self.channel.send = self.transport.write
        connection.opened(self.channel)
        loop.settled(connection, 100)
        self.transport.doRead()
        return connection

    def test_first(self) -> None:
        """The first reply is received by the transport, for the channel; the next ones are not."""
        self.connection(b"one", b"two")
        self.read(b"one")
        self.assertEqual((self.transport.reads, self.counts.service.count), (1, 1))

    def read(self, data: bytes | int) -> Any:
        """Receive data after 10 nanoseconds; returns the reason to disconnect."""
        self.time += 10
        self.transport.socket.received = [data]
        return self.transport.doRead()

    def test_whole(self) -> None:
        """A whole reply is followed by the next message, which is sent at once."""
        connection = self.connection(b"one", b"two2")
        self.assertEqual((self.read(b"one"), self.read(b"two2")), (None, None))
        self.assertEqual(
            (self.transport.written, self.transport.socket.sent), ([b"one"], [b"two2"])
        )
        self.assertEqual((self.counts.sent, self.counts.bytesSent), (2, 7))
        self.assertEqual((self.counts.bytesReceived, self.counts.wrong), (7, 0))
        service = self.counts.service
        self.assertEqual((service.count, service.minimum, service.maximum), (2, 10, 10))
        self.assertEqual((self.idle, connection.underWay), (1, 0))

    def test_notAccepted(self) -> None:
        """The transport sends what the kernel does not accept."""
        self.connection(b"one", b"two2", b"3")
        self.transport.socket.accepted = [3, -1]
        self.read(b"one")
        self.read(b"two2")
        self.assertEqual(self.transport.socket.sent, [b"two"])
        self.assertEqual(self.transport.written, [b"one", b"2", b"3"])

    def test_others(self) -> None:
        """Partial and wrong replies are handled as on every transport."""
        self.connection(b"one", b"two2", b"3")
        for data in (b"o", b"ne", b"twoX", b"3"):
            self.assertIsNone(self.read(data))
        self.assertEqual((self.counts.service.count, self.counts.wrong), (3, 1))
        self.assertEqual(self.transport.written, [b"one", b"two2", b"3"])

    def test_warmup(self) -> None:
        """The reply to a message of the warm-up does not count, but the next message is sent."""
        self.connection(b"one", b"two")
        self.counters.restart(105)
        self.read(b"one")
        self.assertEqual((self.counts.sent, self.counts.service.count), (1, 0))

    def test_large(self) -> None:
        """After a full receive the transport receives as before, with a larger buffer."""
        self.connection(bytes(RECEIVE_SIZE), b"two")
        self.read(bytes(RECEIVE_SIZE - 1))
        self.assertIn("doRead", vars(self.transport))
        self.read(b"\0" * RECEIVE_SIZE)
        self.assertNotIn("doRead", vars(self.transport))

    def test_end(self) -> None:
        """The end of input and errors end the connection; a receive without data does not."""
        self.connection(b"one")
        self.assertEqual(self.read(b""), CONNECTION_DONE)
        self.assertEqual(self.read(ECONNRESET), CONNECTION_LOST)
        self.assertIsNone(self.read(EAGAIN))
