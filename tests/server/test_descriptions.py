from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import quoteStringArgument
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server import descriptions
from echoproto.server.descriptions import (
    Listener,
    checkDescription,
    listenersFor,
    parseDatagrams,
    parsePort,
)
from tests.certificates import needTLSEndpoint


class ListenersForTests(SynchronousTestCase):
    def test_bareNumber(self) -> None:
        """A number is TCP and UDP on IPv4 and IPv6; IPv6 is done without where there is none."""
        self.assertEqual(
            [(each.description, each.optional) for each in listenersFor("echo", "7")],
            [
                ("tcp:7:interface=0.0.0.0:backlog=1024", False),
                ("udp:7:interface=0.0.0.0", False),
                ("tcp:7:interface=\\:\\::backlog=1024", True),
                ("udp:7:interface=\\:\\:", True),
            ],
        )

    def test_narrowed(self) -> None:
        """Given addresses, a number is TCP and UDP on each of them, and none is optional."""
        self.assertEqual(
            [
                (each.carrier, each.interface, each.optional)
                for each in listenersFor("echo", "7", ("127.0.0.1", "::1"))
            ],
            [
                ("tcp", "127.0.0.1", False),
                ("udp", "127.0.0.1", False),
                ("tcp", "::1", False),
                ("udp", "::1", False),
            ],
        )

    def test_description(self) -> None:
        """A description is one listener, whatever the addresses."""
        self.assertEqual(
            listenersFor("greeting", "tcp:7:interface=127.0.0.1", ("::1",)),
            [Listener("greeting", "tcp:7:interface=127.0.0.1")],
        )

    def test_moved(self) -> None:
        """A listener of a bare number can be moved to the port that was picked."""
        [first, *_] = listenersFor("echo", "0", ("::1",))
        moved = first.at(7)
        self.assertEqual(moved.description, "tcp:7:interface=\\:\\:1:backlog=1024")
        self.assertEqual((moved.port, moved.interface), (7, "::1"))

    def test_carrier(self) -> None:
        """The carrier is the description's first word, without the 6."""
        carriers = [Listener("echo", d).carrier for d in ("tcp6:7", "udp:7", "unix:/x", "tls:/c:7")]
        self.assertEqual(carriers, ["tcp", "udp", "unix", "tls"])

    def test_where(self) -> None:
        """For people a bare number is carrier and address, anything else what was written."""
        places = [each.where for each in listenersFor("echo", "7", ("127.0.0.1", "::1"))]
        self.assertEqual(
            places, ["tcp 127.0.0.1:7", "udp 127.0.0.1:7", "tcp [::1]:7", "udp [::1]:7"]
        )
        self.assertEqual(Listener("echo", "unix:/x").where, "unix:/x")

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Whatever is written is a list of listeners or a ValueError of one line."""
        try:
            listeners = listenersFor("echo", text)
        except ValueError as error:
            self.assertEqual(len(str(error).splitlines()), 1)
        else:
            self.assertIn(len(listeners), (1, 4))


class ParseTests(SynchronousTestCase):
    def test_port(self) -> None:
        """A port is a decimal number from 0 to 65535."""
        self.assertEqual([parsePort(text) for text in ("0", "7", "65535")], [0, 7, 65535])
        for text in ("65536", "-1", "x", "", "9" * 30, "7 "):
            self.assertRaises(ValueError, parsePort, text)

    def test_datagrams(self) -> None:
        """udp: is followed by a port, and an address if one is given."""
        checkDescription("udp:7")
        self.assertEqual(parseDatagrams("udp:7"), (7, ""))
        self.assertEqual(parseDatagrams("udp:7:interface=127.0.0.1"), (7, "127.0.0.1"))
        self.assertEqual(parseDatagrams("udp:7:interface=\\:\\:1"), (7, "::1"))

    def test_wrongDatagrams(self) -> None:
        """Anything else after udp: is said to be wrong, and how it should be."""
        for text in ("udp", "udp:", "udp:x", "udp:7:interface=lab", "udp:7:interface=", "udp:7:x"):
            error = self.assertRaises(ValueError, checkDescription, text)
            self.assertIn(text, str(error))

    def test_refused(self) -> None:
        """Descriptions that Twisted knows and that would serve nobody well are refused, with the reason."""
        for text, why in (
            ("haproxy:tcp:7", "would lose bytes"),
            ("stdio:", "no place"),
            ("std\\io:", "no place"),
        ):
            self.assertIn(why, str(self.assertRaises(ValueError, checkDescription, text)))

    def test_certificates(self) -> None:
        """tls: with a folder that has no certificate is refused, with one it is not."""
        needTLSEndpoint()
        with TemporaryDirectory(prefix="odd:") as folder:
            quoted = quoteStringArgument(folder)
            descriptions = f"tls:{quoted}:7", f"tls:port=7:path={quoted}"
            for description in descriptions:
                error = self.assertRaises(ValueError, checkDescription, description)
                self.assertIn("has no .pem file", str(error))
            Path(folder, "lab.pem").write_bytes(b"")
            for description in descriptions:
                checkDescription(description)

    def test_withoutTLS(self) -> None:
        """Where the extra is not installed it is named."""
        self.patch(descriptions, "find_spec", lambda name: None)
        error = self.assertRaises(ValueError, checkDescription, "tls:/certificates:7")
        self.assertIn("TLS needs: pip install 'echoproto[tls]'", str(error))

    def test_wrongDescriptions(self) -> None:
        """What Twisted cannot parse is a ValueError that quotes it and says what is wrong."""
        for text, why in (
            ("tcp:", "'' "),
            ("tcp:abc", "'abc'"),
            ("nonsense:7", "Unknown endpoint type"),
            ("tcp:0:reusePort=1", "an argument is missing, unknown"),
            ("tcp:0:interface=::1", "write \\: for :"),
            ("systemd:domain=INET:index=0", "passed by systemd"),
        ):
            error = self.assertRaises(ValueError, checkDescription, text)
            self.assertIn(repr(text), str(error))
            self.assertIn(why, f"{error} ")
