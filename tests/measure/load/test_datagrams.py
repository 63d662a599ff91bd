from __future__ import annotations

from errno import EAGAIN
from itertools import islice
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.measure.load import datagrams
from echoproto.measure.load.datagrams import (
    MAX_NUMBERS,
    MINIMUM_SIZE,
    SESSION_SIZE,
    DatagramFlow,
    numberedDatagrams,
)
from echoproto.measure.load.loops import ClosedLoop, OpenLoop
from echoproto.measure.load.pool import NO_REPLY
from tests.measure.load.test_connections import ConnectionTestCase


class DatagramTests(ConnectionTestCase):
    def setUp(self) -> None:
        super().setUp()
        supply = numberedDatagrams(b"mine", [b"one", b"two2", b"three"])
        self.messages = [next(supply) for _ in range(200)]

    def connection(self, under: int, kind: Any = ClosedLoop) -> Any:
        """Open a flow with datagrams under way."""
        self.sharedLoop = self.loop(kind, *self.messages)
        connection = DatagramFlow(self.sharedLoop)
        verifyObject(IReplyReceiver, connection)
        connection.opened(self.channel)
        for _ in range(under):
            if kind is ClosedLoop:
                self.sharedLoop.settled(connection, self.time)
            else:
                connection.send(next(self.sharedLoop.messages), self.time - 30, self.time)
        return connection

    def figures(self) -> tuple[int, int, int, int]:
        counts = self.counts
        return counts.sent, counts.service.count, counts.wrong, counts.duplicates

    def test_anyOrder(self) -> None:
        """Replies may arrive in any order; in a closed loop each is followed by a datagram."""
        connection = self.connection(3)
        self.receive(connection, self.messages[2], self.messages[0])
        self.assertEqual(self.figures(), (5, 2, 0, 0))
        self.assertEqual((self.counts.service.maximum, connection.underWay), (20, 3))
        self.assertEqual(self.channel.sent, self.messages[:5])

    def test_open(self) -> None:
        """In an open loop response time counts from when it was due, and a reply sends nothing."""
        connection = self.connection(2, OpenLoop)
        self.receive(connection, self.messages[1])
        self.assertEqual((self.figures(), connection.underWay, self.idle), ((2, 1, 0, 0), 1, 1))
        self.assertEqual(self.counts.response.maximum, 40)
        connection.giveUp(self.time, self.time)
        self.assertEqual((connection.underWay, self.idle), (0, 2))
        self.receive(connection, self.messages[0])
        self.assertEqual((self.counts.service.count, self.counts.response.maximum), (2, 50))

    def test_damaged(self) -> None:
        """A damaged reply is matched by its header or its body, and is wrong."""
        connection = self.connection(3)
        self.receive(connection, self.messages[1][:-1] + b"?", b"x" + self.messages[0][1:])
        self.assertEqual(self.figures(), (5, 2, 2, 0))
        self.receive(connection, self.messages[2][:4] + b"x" + self.messages[2][5:])
        self.assertEqual(self.figures(), (6, 3, 3, 0))

    def test_empty(self) -> None:
        """A datagram without a body is matched by its header only."""
        self.messages = [message[:8] for message in self.messages]
        connection = self.connection(1)
        self.receive(connection, b"x" + self.messages[0][1:])
        self.assertEqual(self.figures(), (1, 0, 1, 0))

    def test_likeAnother(self) -> None:
        """A duplicate is not mistaken for a damaged reply, even if an equal body is under way."""
        connection = self.connection(1)
        self.receive(connection, *self.messages[:3], self.messages[0])
        self.assertEqual(self.figures(), (4, 3, 0, 1))

    def test_twice(self) -> None:
        """A reply that was received before is a duplicate, and sends nothing."""
        connection = self.connection(1)
        self.receive(connection, self.messages[0], self.messages[0])
        self.assertEqual((self.figures(), connection.underWay), ((2, 1, 0, 1), 1))

    def test_misdirected(self) -> None:
        """The reply to a datagram of another port is no duplicate, but wrong."""
        connection = self.connection(1)
        connection.send(self.messages[3], self.time, self.time)
        self.receive(connection, self.messages[2])
        self.assertEqual((self.figures()[2:], connection.underWay), ((1, 0), 2))

    def test_oldDuplicate(self) -> None:
        """A reply to a datagram that was sent long ago is assumed to be a duplicate."""
        connection = self.connection(0, OpenLoop)
        bodies = [message[8:] for message in self.messages[:1]]
        sent = list(islice(numberedDatagrams(b"ours", bodies), 0, 4 * MAX_NUMBERS, 2))
        for message in sent:
            connection.send(message, self.time, self.time)
            self.receive(connection, message)
        for message in (sent[0], sent[-MAX_NUMBERS], sent[-1]):
            self.receive(connection, message)
        self.assertEqual(self.figures()[2:], (0, 3))

    def test_foreign(self) -> None:
        """A datagram of another session, or before anything was sent, is wrong."""
        self.receive(self.connection(0), b"")
        self.receive(self.connection(1), b"yourxxxxone!")
        self.assertEqual(self.figures(), (1, 0, 2, 0))
        self.assertEqual(self.counts.bytesReceived, 12)

    def test_lost(self) -> None:
        """A lost datagram is replaced after the timeout; if its reply is late, it is received."""
        connection = self.connection(2)
        self.time += 50
        self.receive(connection, self.messages[0])
        connection.giveUp(100, self.time)
        self.assertEqual((self.figures(), connection.underWay), ((4, 1, 0, 0), 2))
        self.assertEqual(self.warnings, [NO_REPLY])
        self.receive(connection, self.messages[1], self.messages[1])
        self.assertEqual((self.figures(), connection.underWay), ((4, 2, 0, 1), 2))
        self.assertEqual(self.counts.service.maximum, 70)

    def test_notSent(self) -> None:
        """
        A datagram that the kernel does not accept is lost, with the reason. Sending goes on: in a
        closed loop with the next check of timeouts.
        """
        connection = self.connection(1)
        self.channel.send = self.refuse
        self.receive(connection, self.messages[0])
        self.assertEqual((self.figures(), connection.underWay), ((2, 1, 0, 0), 1))
        self.assertEqual(self.warnings, ["not sent: the send buffer is full"])
        self.channel.send = self.channel.sent.append
        connection.giveUp(0, self.time)
        self.assertEqual(self.channel.sent, [self.messages[0], self.messages[2]])
        self.receive(connection, self.messages[2])
        self.assertEqual((self.figures(), connection.underWay), ((4, 2, 0, 0), 1))

    def test_notSentOpen(self) -> None:
        """In an open loop a datagram that is not sent delays no other."""
        connection = self.connection(1, OpenLoop)
        self.channel.send = self.refuse
        connection.send(self.messages[1], self.time, self.time)
        connection.giveUp(0, self.time)
        self.assertEqual((self.figures(), connection.underWay, self.idle), ((2, 0, 0, 0), 1, 1))

    def refuse(self, message: bytes) -> None:
        raise BlockingIOError(EAGAIN, "Resource temporarily unavailable")

    def test_bounded(self) -> None:
        """An open loop sends no more when the datagrams without replies take too much memory."""
        connection = self.connection(1, OpenLoop)
        self.assertTrue(connection.isReady)
        self.patch(datagrams, "MAX_AWAITED_BYTES", 100)
        self.assertFalse(connection.isReady)
        self.receive(connection, self.messages[0])
        self.assertTrue(connection.isReady)

    def test_dropped(self) -> None:
        """The drops of its receive buffer are those of its channel."""
        self.assertEqual(self.connection(1).dropped, 3)

    def test_forgotten(self) -> None:
        """Only the last given-up datagrams are remembered."""
        self.patch(datagrams, "MAX_REMEMBERED_BYTES", sum(map(len, self.messages[1:3])))
        connection = self.connection(3)
        connection.giveUp(self.time, self.time + 1)
        self.receive(connection, self.messages[0], self.messages[1])
        self.assertEqual(self.figures()[1:], (1, 0, 1))

    def test_trouble(self) -> None:
        """
        A network error is reported, and the port stays open. It is the reason of the losses before
        it, and not of those after it.
        """
        connection = self.connection(1)
        connection.connectionLost("refused")
        self.assertEqual((self.warnings, self.ended, connection.underWay), (["refused"], [], 1))
        connection.giveUp(self.time, self.time + 1)
        self.assertEqual(self.warnings, ["refused"])
        self.time += 1
        connection.giveUp(self.time, self.time + 1)
        self.assertEqual(self.warnings, ["refused", NO_REPLY])
        connection.close()
        self.assertTrue(self.channel.closed)


class NumberedTests(SynchronousTestCase):
    def test_datagrams(self) -> None:
        """Datagrams have a session and a sequence number, so all differ; bodies repeat."""
        made = list(islice(numberedDatagrams(b"mine", [b"a", b"bc"]), 5))
        self.assertEqual({datagram[:SESSION_SIZE] for datagram in made}, {b"mine"})
        self.assertEqual(
            [datagram[MINIMUM_SIZE:] for datagram in made], [b"a", b"bc", b"a", b"bc", b"a"]
        )
        self.assertEqual(len(set(made)), 5)
