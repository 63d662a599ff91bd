from __future__ import annotations

from collections import Counter

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS


class CountsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = ListenerCounters()

    def test_interface(self) -> None:
        """It is an observer."""
        verifyObject(IObserver, self.counts)

    def test_untouched(self) -> None:
        """At first all is 0, and every ending is there."""
        self.assertEqual(self.counts.ended, {ending.value: 0 for ending in CloseReason})
        self.assertEqual((self.counts.accepted, self.counts.open, self.counts.greetings), (0, 0, 0))

    def test_connections(self) -> None:
        """Openings and endings are counted; what is open is the difference."""
        for _ in range(3):
            self.counts.connectionOpened(CLIENT_ADDRESS)
        self.counts.connectionEnded(ConnectionSummary(None, CloseReason.IDLE, 2.0, 10, 7))
        self.counts.connectionEnded(ConnectionSummary(None, CloseReason.LOST, 0.5, 1, 1))
        self.assertEqual((self.counts.accepted, self.counts.open), (3, 1))
        self.assertEqual(self.counts.ended["idle"] + self.counts.ended["lost"], 2)
        self.assertEqual((self.counts.bytesReceived, self.counts.bytesSent), (11, 8))
        self.assertEqual((self.counts.seconds.count, self.counts.seconds.sum), (2, 2.5))

    def test_othersAreCounted(self) -> None:
        """Refusals are counted by reason, greetings in all; of datagrams nothing is noted."""
        self.counts.connectionRefused(None, "no room")
        self.counts.connectionRefused(CLIENT_ADDRESS, "no room")
        self.counts.greeted(CLIENT_ADDRESS, b"hello")
        self.counts.datagramsStopped(DatagramTotals(5))
        self.assertEqual(self.counts.refused, Counter({"no room": 2}))
        self.assertEqual((self.counts.greetings, self.counts.accepted), (1, 0))


class WatchedTests(SynchronousTestCase):
    def test_openConnections(self) -> None:
        """What the open connections have carried is added to what those carried that are over."""
        counts = ListenerCounters()
        counts.connectionEnded(ConnectionSummary(None, CloseReason.IDLE, 2.0, 10, 7))
        factory = EchoFactory(Clock())
        client = RecordingProtocol()
        server = factory.buildProtocol(CLIENT_ADDRESS)
        pair = StreamPair(client, server)
        client.link.write(b"hello")
        pair.pump()
        watched = MonitoredListener("echo", "tcp 0.0.0.0:7", counts, lambda: [server])
        self.assertEqual((watched.bytesReceived, watched.bytesSent), (15, 12))

    def test_labels(self) -> None:
        """A listener is named by service and place; bytes that are no text are escaped."""
        self.assertEqual(
            MonitoredListener("echo", "unix /\udcff", ListenerCounters()).labels,
            ("echo", "unix /\\udcff"),
        )
