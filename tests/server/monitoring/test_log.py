from __future__ import annotations

from collections import Counter
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.server.monitoring.log import LINES, LogObserver

PEER = IPv4Address("TCP", "192.0.2.1", 40_000)


class ObserverTestCase(SynchronousTestCase):
    """A test case with an observer and its logged events."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.observer = LogObserver(
            "echo on tcp [::]:7", Logger("test", observer=cast(Any, self.events.append))
        )

    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def fields(self) -> LogEvent:
        """Return the fields of the last event, without the logger's own."""
        event = self.events[-1]
        return {name: value for name, value in event.items() if not name.startswith("log_")}


class LogObserverTests(ObserverTestCase):
    def test_interface(self) -> None:
        """LogObserver provides IObserver and logs nothing for an opened connection."""
        verifyObject(IObserver, self.observer)
        self.observer.connectionOpened(PEER)
        self.assertEqual(self.events, [])

    def test_connectionEnded(self) -> None:
        """The end of a connection is one line with duration and bytes, also as fields."""
        self.observer.connectionEnded(ConnectionSummary(PEER, CloseReason.LOST, 1.5, 10, 20))
        self.assertEqual(
            self.lines(),
            [
                (
                    "echo on tcp [::]:7 from 192.0.2.1:40000 lost after 1.500 s, "
                    "10 bytes in, 20 bytes out"
                )
            ],
        )
        self.assertEqual(
            self.fields(),
            {
                "event": "ended",
                "listener": "echo on tcp [::]:7",
                "peer": "192.0.2.1:40000",
                "ending": "lost",
                "seconds": 1.5,
                "bytesReceived": 10,
                "bytesSent": 20,
            },
        )

    def test_greeted(self) -> None:
        """A greeting is one line with the escaped data; braces have no special meaning."""
        self.observer.greeted(PEER, b"{listener}\n\x1b[31m")
        self.assertEqual(
            self.lines(), ["echo on tcp [::]:7 from 192.0.2.1:40000 said: {listener}\\n\\x1b[31m"]
        )

    def test_dropped(self) -> None:
        """If the kernel has dropped datagrams, the line of a closed listener says so."""
        self.observer.datagramsStopped(DatagramTotals(5, 5, dropped=7))
        [line] = self.lines()
        self.assertTrue(line.endswith("errors: none; dropped by the kernel: 7"), line)

    def test_datagramsStopped(self) -> None:
        """The last line of a closed datagram listener has its totals, also as fields."""
        self.observer.datagramsStopped(
            DatagramTotals(5, 3, 50, 30, refused={"source port could loop": 2}, errors={})
        )
        self.assertEqual(
            self.lines(),
            [
                "echo on tcp [::]:7 refused 2 datagrams: 2 source port could loop",
                (
                    "echo on tcp [::]:7 closed: 5 datagrams in, 3 answered; "
                    "refused: 2 source port could loop; errors: none"
                ),
            ],
        )
        self.assertEqual(
            self.fields(),
            {
                "event": "closed",
                "listener": "echo on tcp [::]:7",
                "received": 5,
                "answered": 3,
                "bytesReceived": 50,
                "bytesSent": 30,
                "refused": {"source port could loop": 2},
                "errors": {},
                "dropped": 0,
            },
        )


class ReportTests(ObserverTestCase):
    def end(self, number: int, ending: CloseReason = CloseReason.FINISHED) -> None:
        for _ in range(number):
            self.observer.connectionEnded(ConnectionSummary(PEER, ending, 1.0, 10, 20))

    def refuse(self, number: int, reason: str, peer: IPv4Address | None = PEER) -> None:
        for _ in range(number):
            self.observer.connectionRefused(peer, reason)

    def reported(self, totals: DatagramTotals | None = None) -> list[str]:
        """Return the lines of a report only."""
        self.events.clear()
        self.observer.report(totals)
        return self.lines()

    def test_nothing(self) -> None:
        """Without new counts a report is empty."""
        self.end(1)
        self.assertEqual(self.reported(DatagramTotals(received=5, answered=5)), [])

    def test_linesAreLimited(self) -> None:
        """Closed connections and greetings share a limit of lines per interval."""
        for _ in range(LINES - 1):
            self.observer.greeted(PEER, b"x")
        self.end(2)
        self.observer.greeted(PEER, b"x")
        self.assertEqual(len(self.events), LINES)
        self.assertEqual(
            self.reported(),
            [
                "echo on tcp [::]:7 ended 1 more connection: 1 finished; 10 bytes in, 20 bytes out",
                "echo on tcp [::]:7 greeted 1 more client",
            ],
        )

    def test_nextInterval(self) -> None:
        """A report resets the limit of lines and the totals."""
        self.end(LINES + 1)
        self.observer.report()
        self.events.clear()
        self.end(LINES + 1)
        self.assertEqual([event["event"] for event in self.events], ["ended"] * LINES)
        self.assertEqual(len(self.reported()), 1)
        self.assertEqual(self.reported(), [])

    def test_endings(self) -> None:
        """Excess closed connections are reported by close reason, with all their bytes."""
        self.end(LINES)
        self.end(2, CloseReason.FINISHED)
        self.end(3, CloseReason.LOST)
        self.assertEqual(
            self.reported(),
            [
                (
                    "echo on tcp [::]:7 ended 5 more connections: 3 lost, 2 finished; "
                    "50 bytes in, 100 bytes out"
                )
            ],
        )
        self.assertEqual(
            self.fields(),
            {
                "event": "endings",
                "listener": "echo on tcp [::]:7",
                "connections": 5,
                "endings": {"lost": 3, "finished": 2},
                "bytesReceived": 50,
                "bytesSent": 100,
            },
        )

    def test_unused(self) -> None:
        """Unused connections have no lines of their own, and leave those of others."""
        for _ in range(LINES):
            summary = ConnectionSummary(PEER, CloseReason.UNUSED, 0.001, 0, 0)
            self.observer.connectionEnded(summary)
        self.end(LINES)
        self.assertEqual([event["event"] for event in self.events], ["ended"] * LINES)
        [line] = self.reported()
        self.assertIn("ended 100 more connections: 100 unused; 0 bytes in, 0 bytes out", line)

    def test_greetings(self) -> None:
        """Excess greetings are counted."""
        for _ in range(LINES + 50):
            self.observer.greeted(PEER, b"x")
        self.assertEqual(self.reported(), ["echo on tcp [::]:7 greeted 50 more clients"])
        self.assertEqual(
            self.fields(), {"event": "greetings", "listener": "echo on tcp [::]:7", "clients": 50}
        )

    def test_refusals(self) -> None:
        """Refusals are one line by reason, most frequent first, with the last client."""
        self.refuse(80, "too many connections", None)
        self.refuse(8, "no PROXY header")
        self.assertEqual(self.events, [])
        self.assertEqual(
            self.reported(),
            [
                (
                    "echo on tcp [::]:7 refused 88 connections: 80 too many connections, "
                    "8 no PROXY header; the last from 192.0.2.1:40000"
                )
            ],
        )
        self.assertEqual(
            self.fields(),
            {
                "event": "refused",
                "listener": "echo on tcp [::]:7",
                "connections": 88,
                "reasons": {"too many connections": 80, "no PROXY header": 8},
                "peer": "192.0.2.1:40000",
            },
        )

    def test_faults(self) -> None:
        """Faults on purpose since the last report are one line."""
        faults = Counter({"loss": 2, "delay": 0})
        log = Logger("test", observer=cast(Any, self.events.append))
        self.observer = LogObserver("echo on udp [::]:7", log, faults)
        self.assertEqual(self.reported(), ["echo on udp [::]:7 faults on purpose: 2 loss"])
        self.assertEqual(self.reported(), [])
        faults["delay"] += 1
        self.assertEqual(self.reported(), ["echo on udp [::]:7 faults on purpose: 1 delay"])
        self.assertEqual(self.fields()["faults"], {"delay": 1})

    def test_refusal(self) -> None:
        """A single refusal is reported in the singular; a UNIX client is unnamed."""
        self.refuse(1, "too many connections", None)
        self.assertEqual(
            self.reported(),
            [
                (
                    "echo on tcp [::]:7 refused 1 connection: 1 too many connections; "
                    "the last from unnamed"
                )
            ],
        )

    def test_datagrams(self) -> None:
        """New refused datagrams and errors since the last report are reported."""
        totals = DatagramTotals(refused={"source port could loop": 5}, errors={"send ENOBUFS": 3})
        line = (
            "echo on tcp [::]:7 refused 5 datagrams: 5 source port could loop; "
            "3 errors: 3 send ENOBUFS"
        )
        self.assertEqual(self.reported(totals), [line])
        self.assertEqual(
            self.fields(),
            {
                "event": "datagrams refused",
                "listener": "echo on tcp [::]:7",
                "datagrams": 5,
                "refused": {"source port could loop": 5},
                "errors": {"send ENOBUFS": 3},
            },
        )
        self.assertEqual(self.reported(totals), [])

    def test_datagramParts(self) -> None:
        """Of refused datagrams and errors, only those with new counts are reported."""
        first = DatagramTotals(refused={"source port could loop": 1})
        second = DatagramTotals(
            refused={"source port could loop": 1}, errors={"send ENOBUFS": 1, "send EPERM": 1}
        )
        self.assertEqual(
            self.reported(first) + self.reported(second),
            [
                "echo on tcp [::]:7 refused 1 datagram: 1 source port could loop",
                "echo on tcp [::]:7 had 2 errors: 1 send ENOBUFS, 1 send EPERM",
            ],
        )

    def test_notForLegacyObservers(self) -> None:
        """No event has a field that Twisted's legacy observers would use as the line."""
        self.end(LINES + 1)
        self.refuse(1, "too many connections")
        self.observer.greeted(PEER, b"x")
        self.observer.report(DatagramTotals(refused={"source over its rate": 1}))
        self.observer.datagramsStopped(DatagramTotals())
        reserved = {"message", "format", "time", "system", "isError", "failure", "why"}
        self.assertEqual([event for event in self.events if reserved & set(event)], [])
