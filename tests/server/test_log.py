from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.observer import ConnectionSummary, DatagramTotals, Ending, IObserver
from echoproto.server.log import LogObserver, addressText, escaped

PEER = IPv4Address("TCP", "192.0.2.1", 40_000)


class EscapedTests(SynchronousTestCase):
    def test_text(self) -> None:
        """Printable text stands as it is."""
        self.assertEqual(escaped("Grüße, 世界".encode()), "Grüße, 世界")

    def test_control(self) -> None:
        """Line ends, terminal escapes and what changes the writing's direction are escaped."""
        self.assertEqual(escaped(b"a\r\nb\x1b[2J\x00"), "a\\r\\nb\\x1b[2J\\x00")
        self.assertEqual(escaped("\u202eevil\u2028".encode()), "\\u202eevil\\u2028")

    def test_undecodable(self) -> None:
        """Bytes that are not UTF-8 are escaped; so is a backslash, so that no text looks like them."""
        self.assertEqual(escaped(b"\xff\xfeA\\xff"), "\\xff\\xfeA\\\\xff")

    @given(st.binary())
    def test_oneReversibleLine(self, data: bytes) -> None:
        """Whatever it is becomes one line of printable text, no two alike."""
        text = escaped(data)
        self.assertTrue(text.isprintable())
        self.assertLessEqual(len(text.splitlines()), 1)
        if data.isascii():
            self.assertEqual(text.encode("ascii").decode("unicode_escape").encode("ascii"), data)


class AddressTextTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """Host and port, with brackets for IPv6; or a UNIX socket's path, escaped."""
        self.assertEqual(addressText(PEER), "192.0.2.1:40000")
        self.assertEqual(addressText(IPv6Address("TCP", "::1", 7)), "[::1]:7")
        self.assertEqual(addressText(UNIXAddress("/run/e\nx")), "/run/e\\nx")
        self.assertEqual(addressText(UNIXAddress(None)), "unnamed")


class LogObserverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        self.observer = LogObserver(
            "echo on tcp [::]:7", Logger("test", observer=cast(Any, self.events.append))
        )

    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def test_interface(self) -> None:
        """It is an observer, and has no line for an opening."""
        verifyObject(IObserver, self.observer)
        self.observer.connectionOpened(PEER)
        self.assertEqual(self.events, [])

    def test_connectionEnded(self) -> None:
        """One line says how a connection ended, with seconds and bytes, and has them as fields."""
        self.observer.connectionEnded(ConnectionSummary(PEER, Ending.LOST, 1.5, 10, 20))
        self.assertEqual(
            self.lines(),
            [
                "echo on tcp [::]:7 from 192.0.2.1:40000 lost after 1.500 s, 10 bytes in, 20 bytes out"
            ],
        )
        self.assertEqual((self.events[0]["ending"], self.events[0]["bytesReceived"]), ("lost", 10))

    def test_greeted(self) -> None:
        """One line says what was received, escaped; braces in it mean nothing."""
        self.observer.greeted(PEER, b"{listener}\n\x1b[31m")
        self.assertEqual(
            self.lines(), ["echo on tcp [::]:7 from 192.0.2.1:40000 said: {listener}\\n\\x1b[31m"]
        )

    def test_datagramsStopped(self) -> None:
        """One line has a datagram listener's totals."""
        self.observer.datagramsStopped(
            DatagramTotals(5, 3, refused={"source port could loop": 2}, errors={})
        )
        [line] = self.lines()
        self.assertEqual(
            line,
            "echo on tcp [::]:7 closed: 5 datagrams in, 3 answered; "
            "refused: 2 source port could loop; errors: none",
        )
