from __future__ import annotations

import json
from collections import Counter

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS


class ListenerCountersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counts = ListenerCounters()

    def test_interface(self) -> None:
        """ListenerCounters provides IObserver."""
        verifyObject(IObserver, self.counts)

    def test_initial(self) -> None:
        """Initially all counters are 0, with an entry for every close reason."""
        self.assertEqual(self.counts.ended, {ending.value: 0 for ending in CloseReason})
        self.assertEqual((self.counts.accepted, self.counts.open, self.counts.greetings), (0, 0, 0))

    def test_connections(self) -> None:
        """Opened and closed connections are counted; the difference is the open ones."""
        for _ in range(3):
            self.counts.connectionOpened(CLIENT_ADDRESS)
        self.counts.connectionEnded(ConnectionSummary(None, CloseReason.IDLE, 2.0, 10, 7))
        self.counts.connectionEnded(ConnectionSummary(None, CloseReason.LOST, 0.5, 1, 1))
        self.assertEqual((self.counts.accepted, self.counts.open), (3, 1))
        self.assertEqual(self.counts.ended["idle"] + self.counts.ended["lost"], 2)
        self.assertEqual((self.counts.bytesReceived, self.counts.bytesSent), (11, 8))
        self.assertEqual((self.counts.seconds.count, self.counts.seconds.sum), (2, 2.5))

    def test_refusals(self) -> None:
        """Refusals are counted by reason and greetings in total; datagrams are ignored."""
        self.counts.connectionRefused(None, "no room")
        self.counts.connectionRefused(CLIENT_ADDRESS, "no room")
        self.counts.greeted(CLIENT_ADDRESS, b"hello")
        self.counts.datagramsStopped(DatagramTotals(5))
        self.assertEqual(self.counts.refused, Counter({"no room": 2}))
        self.assertEqual((self.counts.greetings, self.counts.accepted), (1, 0))

    def test_state(self) -> None:
        """The counts can be restored in another process, from JSON."""
        self.counts.connectionOpened(CLIENT_ADDRESS)
        self.counts.connectionEnded(ConnectionSummary(None, CloseReason.IDLE, 2.0, 10, 7))
        self.counts.connectionRefused(None, "no room")
        self.counts.greeted(None, b"")
        self.counts.faults["delay"] = 3
        state = self.counts.state()
        restored = ListenerCounters()
        restored.restore(json.loads(json.dumps(state)))
        self.assertEqual(restored.state(), state)
        self.assertEqual((restored.bytesSent, restored.refused), (7, Counter({"no room": 1})))


class MonitoredListenerTests(SynchronousTestCase):
    def test_openConnections(self) -> None:
        """The bytes of open connections are added to those of closed ones."""
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

    def test_name(self) -> None:
        """Its name in the log consists of its labels."""
        listener = MonitoredListener("echo", "tcp [::]:7", ListenerCounters())
        self.assertEqual(listener.name, "echo on tcp [::]:7")

    def test_labels(self) -> None:
        """A listener is labelled by service and address, with undecodable bytes escaped."""
        self.assertEqual(
            MonitoredListener("echo", "unix /\udcff", ListenerCounters()).labels,
            {"service": "echo", "listener": "unix /\\udcff"},
        )
