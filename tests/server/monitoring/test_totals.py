from __future__ import annotations

from typing import Any, cast

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.totals import logStreamTotals


class TotalsTests(SynchronousTestCase):
    def test_totals(self) -> None:
        """
        The totals of a stream listener are one line, with its fields; datagrams have their own.
        """
        log = EventLoggingObserver.createWithCleanup(cast(Any, self), globalLogPublisher)
        counts = ListenerCounters()
        for ending in (CloseReason.LOST, CloseReason.FINISHED, CloseReason.FINISHED):
            counts.connectionOpened(None)
            counts.connectionEnded(ConnectionSummary(None, ending, 1.0, 5, 4))
        counts.connectionRefused(None, "full")
        logStreamTotals(
            [
                MonitoredListener("echo", "tcp :7", counts),
                MonitoredListener("echo", "unix /x", ListenerCounters()),
                MonitoredListener("echo", "udp :7", ListenerCounters(), datagrams=DatagramTotals),
            ]
        )
        self.assertEqual(
            [formatEvent(event) for event in log],
            [
                (
                    "echo on tcp :7 closed: 3 connections; ended: 2 finished, 1 lost; "
                    "refused: 1 full; 15 bytes in, 12 bytes out"
                ),
                (
                    "echo on unix /x closed: 0 connections; ended: none; refused: none; "
                    "0 bytes in, 0 bytes out"
                ),
            ],
        )
        self.assertEqual((log[0]["event"], log[0]["connections"]), ("closed", 3))
