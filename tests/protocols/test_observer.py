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


SUMMARY = ConnectionSummary(PEER, CloseReason.LOST, 1.0, 2, 3)


def reportAll(observer: IObserver) -> None:
    """Report an event of each kind."""
    observer.connectionOpened(PEER)
    observer.connectionEnded(SUMMARY)
    observer.connectionRefused(PEER, "too many connections")
    observer.greeted(PEER, b"hi")
    observer.datagramsStopped(DatagramTotals(1))


class ObserverTests(SynchronousTestCase):
    def test_null(self) -> None:
        """NullObserver provides IObserver and ignores all events."""
        observer = NullObserver()
        verifyObject(IObserver, observer)
        reportAll(observer)
        self.assertEqual(vars(observer), {})

    def test_composite(self) -> None:
        """CompositeObserver passes every event on to every observer."""
        recorders = RecordingObserver(), RecordingObserver()
        observers = CompositeObserver(*recorders)
        verifyObject(IObserver, observers)
        reportAll(observers)
        for recorder in recorders:
            self.assertEqual(recorder.opened, [PEER])
            self.assertEqual(recorder.ended, [SUMMARY])
            self.assertEqual(recorder.refused, [(PEER, "too many connections")])
            self.assertEqual(recorder.greetings, [(PEER, b"hi")])
            self.assertEqual(recorder.totals, [DatagramTotals(1)])

    def test_summariesAreValues(self) -> None:
        """Summaries with the same values are equal."""
        self.assertEqual(ConnectionSummary(PEER, CloseReason.LOST, 1.0, 2, 3), SUMMARY)
