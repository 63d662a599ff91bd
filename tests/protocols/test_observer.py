from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.observer import (
    CloseReason,
    CompositeObserver,
    ConnectionSummary,
    DatagramTotals,
    IObserver,
    NullObserver,
)
from echoproto.testing import RecordingObserver

PEER = IPv4Address("TCP", "192.0.2.1", 7)


class NullObserverTests(SynchronousTestCase):
    def test_ignoresAll(self) -> None:
        """NullObserver provides IObserver and ignores all events."""
        observer = NullObserver()
        verifyObject(IObserver, observer)
        observer.connectionOpened(PEER)
        observer.connectionEnded(ConnectionSummary(PEER, CloseReason.LOST, 1.0, 2, 3))
        observer.connectionRefused(PEER, "too many connections")
        observer.greeted(PEER, b"hi")
        observer.datagramsStopped(DatagramTotals())
        self.assertEqual(vars(observer), {})

    def test_summariesAreValues(self) -> None:
        """Summaries with the same values are equal."""
        self.assertEqual(
            ConnectionSummary(PEER, CloseReason.FINISHED, 1.0, 2, 2),
            ConnectionSummary(PEER, CloseReason.FINISHED, 1.0, 2, 2),
        )


class CompositeObserverTests(SynchronousTestCase):
    def test_passesOn(self) -> None:
        """Every observer receives every event."""
        recorders = RecordingObserver(), RecordingObserver()
        observers = CompositeObserver(*recorders)
        verifyObject(IObserver, observers)
        summary = ConnectionSummary(PEER, CloseReason.LOST, 1.0, 2, 3)
        observers.connectionOpened(PEER)
        observers.connectionEnded(summary)
        observers.connectionRefused(PEER, "too many")
        observers.greeted(PEER, b"hi")
        observers.datagramsStopped(DatagramTotals(1))
        for recorder in recorders:
            self.assertEqual(recorder.opened, [PEER])
            self.assertEqual(recorder.ended, [summary])
            self.assertEqual(recorder.refused, [(PEER, "too many")])
            self.assertEqual(recorder.greetings, [(PEER, b"hi")])
            self.assertEqual(recorder.totals, [DatagramTotals(1)])
