from __future__ import annotations

from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.observer import CloseReason, ConnectionSummary, DatagramTotals, IObserver
from echoproto.server.monitoring.log import LINES, LogObserver, addressText

PEER = IPv4Address("TCP", "192.0.2.1", 40_000)


class AddressTextTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """Host and port, with brackets for IPv6; or a UNIX socket's path, escaped."""
        self.assertEqual(addressText(PEER), "192.0.2.1:40000")
        self.assertEqual(addressText(IPv6Address("TCP", "::1", 7)), "[::1]:7")
        self.assertEqual(addressText(UNIXAddress("/run/e\nx")), "/run/e\\nx")
        self.assertEqual(addressText(UNIXAddress(None)), "unnamed")
        self.assertEqual(addressText(None), "unnamed")


class ObserverTestCase(SynchronousTestCase):
    """An observer and the events that it has logged."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.observer = LogObserver(
            "echo on tcp [::]:7", Logger("test", observer=cast(Any, self.events.append))
        )

    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def told(self) -> LogEvent:
        """The fields of the only event, without the logger's."""
        [event] = self.events
        return {name: each for name, each in event.items() if not name.startswith("log_")}


class LogObserverTests(ObserverTestCase):
    def test_interface(self) -> None:
        """It is an observer, and has no line for an opening."""
        verifyObject(IObserver, self.observer)
        self.observer.connectionOpened(PEER)
        self.assertEqual(self.events, [])

    def test_connectionEnded(self) -> None:
        """One line says how a connection ended, with seconds and bytes, and has them as fields."""
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
            self.told(),
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
        """One line says what was received, escaped; braces in it mean nothing."""
        self.observer.greeted(PEER, b"{listener}\n\x1b[31m")
        self.assertEqual(
            self.lines(), ["echo on tcp [::]:7 from 192.0.2.1:40000 said: {listener}\\n\\x1b[31m"]
        )

    def test_datagramsStopped(self) -> None:
        """One line has a datagram listener's totals, and the bytes as fields too."""
        self.observer.datagramsStopped(
            DatagramTotals(5, 3, 50, 30, refused={"source port could loop": 2}, errors={})
        )
        self.assertEqual(
            self.lines(),
            [
                (
                    "echo on tcp [::]:7 closed: 5 datagrams in, 3 answered; "
                    "refused: 2 source port could loop; errors: none"
                )
            ],
        )
        self.assertEqual(
            self.told(),
            {
                "event": "closed",
                "listener": "echo on tcp [::]:7",
                "received": 5,
                "answered": 3,
                "bytesReceived": 50,
                "bytesSent": 30,
                "refused": {"source port could loop": 2},
                "errors": {},
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
        """The lines of a report, and no others."""
        self.events.clear()
        self.observer.report(totals)
        return self.lines()

    def test_nothing(self) -> None:
        """Where nothing was counted, nothing is told."""
        self.end(1)
        self.assertEqual(self.reported(DatagramTotals(received=5, answered=5)), [])

    def test_linesAreLimited(self) -> None:
        """
        In one interval endings and greetings have so many lines together; the rest is told in sums.
        """
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
        """After a report there are as many lines again, and nothing is told twice."""
        self.end(LINES + 1)
        self.observer.report()
        self.events.clear()
        self.end(LINES + 1)
        self.assertEqual([event["event"] for event in self.events], ["ended"] * LINES)
        self.assertEqual(len(self.reported()), 1)
        self.assertEqual(self.reported(), [])

    def test_endings(self) -> None:
        """Endings beyond the limit are told by their ending, most first, with all their bytes."""
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
            self.told(),
            {
                "event": "endings",
                "listener": "echo on tcp [::]:7",
                "connections": 5,
                "endings": {"lost": 3, "finished": 2},
                "bytesReceived": 50,
                "bytesSent": 100,
            },
        )

    def test_greetings(self) -> None:
        """Greetings beyond the limit are counted."""
        for _ in range(LINES + 50):
            self.observer.greeted(PEER, b"x")
        self.assertEqual(self.reported(), ["echo on tcp [::]:7 greeted 50 more clients"])
        self.assertEqual(
            self.told(), {"event": "greetings", "listener": "echo on tcp [::]:7", "clients": 50}
        )

    def test_refusals(self) -> None:
        """Refusals are told in one line by their reason, most first, with the last client."""
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
            self.told(),
            {
                "event": "refused",
                "listener": "echo on tcp [::]:7",
                "connections": 88,
                "reasons": {"too many connections": 80, "no PROXY header": 8},
                "peer": "192.0.2.1:40000",
            },
        )

    def test_refusal(self) -> None:
        """One refusal is told in the singular; a client on a UNIX socket is unnamed."""
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
        """Datagrams refused and errors are told that are new since the last report."""
        totals = DatagramTotals(refused={"source port could loop": 5}, errors={"send ENOBUFS": 3})
        line = (
            "echo on tcp [::]:7 refused 5 datagrams: 5 source port could loop; "
            "3 errors: 3 send ENOBUFS"
        )
        self.assertEqual(self.reported(totals), [line])
        self.assertEqual(
            self.told(),
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
        """Of datagrams refused and errors only those are told of which there are new ones."""
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
        """No event has a field that Twisted's legacy observers would take for the line."""
        self.end(LINES + 1)
        self.refuse(1, "too many connections")
        self.observer.greeted(PEER, b"x")
        self.observer.report(DatagramTotals(refused={"source over its rate": 1}))
        self.observer.datagramsStopped(DatagramTotals())
        reserved = {"message", "format", "time", "system", "isError", "failure", "why"}
        self.assertEqual([each for each in self.events if reserved & set(each)], [])
