from __future__ import annotations

from typing import Any, cast

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.observer import DatagramTotals
from echoproto.testing import RecordingObserver, RecordingProtocol
from tests.protocols.test_observer import PEER, SUMMARY, reportAll


class RecordingProtocolTests(SynchronousTestCase):
    def test_records(self) -> None:
        """All events are recorded in order; consecutive data is one event."""
        protocol = RecordingProtocol()
        protocol.makeConnection(cast(Any, "transport"))
        protocol.dataReceived(b"a")
        protocol.dataReceived(b"b")
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        protocol.dataReceived(b"c")
        reason = Failure(ConnectionLost())
        protocol.connectionLost(reason)
        self.assertEqual(protocol.events, ["made", "data", "readLost", "writeLost", "data", "lost"])
        self.assertEqual((protocol.received, protocol.reason), (b"abc", reason))
        self.assertEqual(protocol.link, "transport")


class RecordingObserverTests(SynchronousTestCase):
    def test_records(self) -> None:
        """All notifications are recorded."""
        observer = RecordingObserver()
        reportAll(observer)
        self.assertEqual(observer.opened, [PEER])
        self.assertEqual(observer.ended, [SUMMARY])
        self.assertEqual(observer.refused, [(PEER, "too many connections")])
        self.assertEqual(observer.greetings, [(PEER, b"hi")])
        self.assertEqual(observer.totals, [DatagramTotals(1)])
