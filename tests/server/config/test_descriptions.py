from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.config.descriptions import parseDatagrams, parsePort, parseStreams
from echoproto.server.config.parser import parseListener


class DescriptionsTests(SynchronousTestCase):
    def test_port(self) -> None:
        """A port is a decimal number from 0 to 65535."""
        self.assertEqual([parsePort(text) for text in ("0", "7", "65535")], [0, 7, 65535])
        for text in ("65536", "-1", "x", "", "9" * 30, "7 "):
            self.assertRaises(ValueError, parsePort, text)

    def test_datagrams(self) -> None:
        """udp: is followed by a port, and an optional address."""
        self.assertEqual(parseDatagrams("udp:7"), (7, ""))
        self.assertEqual(parseDatagrams("udp:7:interface=127.0.0.1"), (7, "127.0.0.1"))
        self.assertEqual(parseDatagrams("udp:7:interface=\\:\\:1"), (7, "::1"))

    def test_streams(self) -> None:
        """The descriptions that need nothing of Twisted are port and IPv4 address."""
        for text, parsed in (
            ("tcp:7", (7, "")),
            ("tcp:0:interface=127.0.0.1", (0, "127.0.0.1")),
            ("tcp:7:interface=127.0.0.1:backlog=1024", (7, "127.0.0.1")),
            ("tcp:7:backlog=5", None),
            ("tcp:65536", None),
            ("tcp:7:interface=127.0.0", None),
            ("tcp6:7", None),
        ):
            self.assertEqual(parseStreams(text), parsed, text)

    def test_wrongDatagrams(self) -> None:
        """Anything else after udp: is an error with examples."""
        for text in ("udp", "udp:", "udp:x", "udp:7:interface=lab", "udp:7:interface="):
            error = self.assertRaises(ValueError, parseListener, "echo", text)
            self.assertIn(text, str(error))

    def test_otherArguments(self) -> None:
        """An argument that only streams have is an error that lists those of udp:."""
        for text in ("udp:7:proxy=any", "udp:7:x", "udp:backlog=5"):
            error = self.assertRaises(ValueError, parseListener, "echo", text)
            self.assertEqual(
                str(error), f"invalid listener {text!r}: udp: has interface= and fault= only"
            )
