from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.interfaces import IReplyReceiver
from echoproto.monitor.connection import ProbeConnection
from echoproto.text.units import SECOND
from tests.measure.fakes import Target
from tests.monitor.test_settings import settingsOf


class FakeProber:
    """Records what a connection reports."""

    def __init__(self, reconnect: bool) -> None:
        self.reactor = Clock()
        self.settings = settingsOf(reconnect=reconnect)
        self.classifier = self
        self.received: list[tuple[object, ...]] = []
        self.faults: list[str] = []
        self.ended: list[ProbeConnection] = []

    def monotonicNs(self) -> int:
        return 5 * SECOND

    def receive(self, *reply: object) -> None:
        self.received.append(reply)

    receiveFor = receive

    def fault(self, reason: str) -> None:
        self.faults.append(reason)

    def finished(self, connection: ProbeConnection) -> None:
        self.ended.append(connection)


class ConnectionTests(SynchronousTestCase):
    def connect(self, ordered: bool, reconnect: bool = False) -> ProbeConnection:
        self.target = Target(ordered)
        prober: Any = FakeProber(reconnect)
        self.prober = prober
        connection = ProbeConnection(prober, self.target, SECOND)
        self.successResultOf(connection.channel.open())
        [self.channel] = self.target.channels
        self.channel.connectionless = not ordered
        return connection

    def test_datagrams(self) -> None:
        """Datagrams are identified by their content; with the time that they waited."""
        connection = self.connect(False)
        verifyObject(IReplyReceiver, connection)
        connection.send(0, b"probe")
        self.channel.wait = SECOND
        connection.replyReceived(b"probe")
        self.assertEqual(self.prober.received, [(b"probe", 5 * SECOND, SECOND)])
        connection.connectionLost("refused")
        self.assertEqual((self.prober.faults, self.prober.ended), (["refused"], []))

    def test_stream(self) -> None:
        """On a stream a reply is that to the oldest probe; with none it is foreign."""
        connection = self.connect(True)
        for sequence in (3, 4):
            connection.send(sequence, b"probe")
            connection.replyReceived(b"reply")
        connection.replyReceived(b"more")
        self.assertEqual([sequence for sequence, *_ in self.prober.received], [3, 4, None])
        connection.send(5, b"probe")
        connection.connectionLost("reset")
        self.assertEqual((self.prober.ended, [*connection.awaited]), ([connection], []))

    def test_reconnect(self) -> None:
        """With a connection for each probe it is finished by the reply."""
        connection = self.connect(True, reconnect=True)
        connection.send(0, b"probe")
        self.assertEqual(self.prober.ended, [])
        connection.replyReceived(b"reply")
        self.assertEqual(self.prober.ended, [connection])

    def test_retire(self) -> None:
        """It is closed at once if no reply is awaited, else when the last reply has arrived."""
        self.assertFalse(self.connect(False).retire())
        self.assertTrue(self.connect(True).retire())
        self.assertEqual((self.channel.closed, self.channel.aborted), (True, False))
        connection = self.connect(True)
        connection.send(0, b"probe")
        self.assertFalse(connection.retire())
        connection.replyReceived(b"reply")
        self.assertEqual(self.prober.ended, [connection])
        connection.end()
        self.assertEqual((self.channel.closed, self.channel.aborted), (True, False))

    def test_drops(self) -> None:
        """Drops of the receive buffer are reported once, also those before a close."""
        connection = self.connect(False)
        self.assertEqual(connection.newDrops(), 0)
        self.channel.drops = 3
        self.assertEqual([connection.newDrops() for _ in range(2)], [3, 0])
        self.channel.drops = 4
        connection.end()
        self.assertEqual([connection.newDrops() for _ in range(2)], [1, 0])
