from __future__ import annotations

import re
import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.faults.faultplan import parseFaults
from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import Layers, ProxyRule
from echoproto.server.config.listener import Listener
from echoproto.server.config.parser import parseListener
from echoproto.server.systemd import PassedSocket
from echoproto.transports.proxyheader import ProxyProtocolVersion


class ParseListenerTests(SynchronousTestCase):
    def test_bareNumber(self) -> None:
        """A number is TCP and UDP on IPv4 and IPv6; IPv6 is optional."""
        self.assertEqual(
            [(listener.description, listener.optional) for listener in parseListener("echo", "7")],
            [
                ("tcp:7:interface=0.0.0.0:backlog=1024", False),
                ("udp:7:interface=0.0.0.0", False),
                ("tcp:7:interface=\\:\\::backlog=1024", True),
                ("udp:7:interface=\\:\\:", True),
            ],
        )

    def test_narrowed(self) -> None:
        """With addresses, a number is TCP and UDP on each of them, and none is optional."""
        self.assertEqual(
            [
                (listener.carrier, listener.interface, listener.optional)
                for listener in parseListener("echo", "7", ("127.0.0.1", "::1"))
            ],
            [
                ("tcp", "127.0.0.1", False),
                ("udp", "127.0.0.1", False),
                ("tcp", "::1", False),
                ("udp", "::1", False),
            ],
        )

    def test_description(self) -> None:
        """A description is one listener, whatever the addresses; it is shown as written."""
        [listener] = parseListener("greeting", "tcp:7:interface=127.0.0.1", ("::1",))
        self.assertEqual(listener.description, "tcp:7:interface=127.0.0.1:backlog=1024")
        self.assertEqual(listener.displayName, "tcp:7:interface=127.0.0.1")

    def test_backlog(self) -> None:
        """A description has the same listen backlog as a number, unless it sets one."""
        for text, description in (
            ("unix:/x", "unix:/x:backlog=1024"),
            ("tcp:7", "tcp:7:backlog=1024"),
            ("tcp:7:backlog=1024", "tcp:7:backlog=1024"),
            ("tcp6:7", "tcp6:7:backlog=1024"),
            ("tcp:7:backlog=5", "tcp:7:backlog=5"),
            ("tcp:7:127.0.0.1:5", "tcp:7:127.0.0.1:5"),
            ("tcp6:7:5", "tcp6:7:5"),
            ("unix:/x:600:5", "unix:/x:600:5"),
            ("unix:@x", "unix:\0x:lockfile=0:backlog=1024"),
            ("unix:@x:600:5:1", "unix:\0x:600:5:lockfile=0"),
            ("unix:./@x", "unix:./@x:backlog=1024"),
        ):
            [listener] = parseListener("echo", text)
            self.assertEqual(listener.description, description)

    def test_controlCharacters(self) -> None:
        """An error shows control characters as escapes."""
        for text, shown in (
            ("\x1e:", "unknown type '\\x1e' ("),
            ("\x1b[2J:7", "type '\\x1b[2j' ("),
        ):
            with self.assertRaisesRegex(ValueError, re.escape(shown)):
                parseListener("echo", text)

    @given(st.text())
    def test_anything(self, text: str) -> None:
        """Any text is a list of listeners or a ValueError of one line."""
        try:
            listeners = parseListener("echo", text)
        except ValueError as error:
            self.assertEqual(len(str(error).splitlines()), 1)
        else:
            self.assertIn(len(listeners), (1, 4))


class LayersTests(SynchronousTestCase):
    def one(self, text: str, tls: TLSFiles | None = None) -> Listener:
        [listener] = parseListener("echo", text, tls=tls)
        return listener

    def test_ourArguments(self) -> None:
        """Our arguments become layers; the rest is passed to Twisted."""
        text = "tcp:7:interface=\\:\\:1:proxy=v2:tlsCert=/a\\:b.pem"
        listener = self.one(text)
        self.assertEqual(listener.description, "tcp:7:interface=\\:\\:1:backlog=1024")
        self.assertEqual(listener.layers.tls, TLSFiles("/a:b.pem", "/a:b.pem"))
        self.assertEqual(listener.layers.proxy, ProxyRule(ProxyProtocolVersion.V2))
        self.assertEqual(listener.carrier, "tls")

    def test_ssl(self) -> None:
        """ssl: is TCP with our TLS, and the files of Twisted's arguments."""
        listener = self.one("ssl:7:privateKey=k:certKey=c:extraCertChain=b:interface=127.0.0.1")
        self.assertEqual(listener.description, "tcp:7:interface=127.0.0.1:backlog=1024")
        self.assertEqual(listener.layers.tls, TLSFiles("c", "k", chain="b"))
        self.assertEqual(self.one("ssl:7").layers.tls, TLSFiles("server.pem", "server.pem"))

    def test_tls(self) -> None:
        """tls: is TCP on IPv6 with our TLS, and a folder of certificates."""
        listener = self.one("tls:/certificates:7")
        self.assertEqual(listener.description, "tcp:7:interface=\\:\\::backlog=1024")
        self.assertEqual(listener.layers.tls, TLSFiles("/certificates", "/certificates"))
        listener = self.one("tls:port=7:path=/c:interface=0.0.0.0")
        self.assertEqual(listener.description, "tcp:7:interface=0.0.0.0:backlog=1024")

    def test_default(self) -> None:
        """The default is for TCP alone, unless a description sets TLS."""
        default = TLSFiles("c", "c")
        number = parseListener("echo", "7", tls=default)
        self.assertEqual([listener.carrier for listener in number], ["tls", "udp"] * 2)
        self.assertEqual(self.one("tcp6:7", default).carrier, "tls")
        self.assertEqual(self.one("tcp:7:tls=no", default).carrier, "tcp")
        self.assertEqual(self.one("unix:/x", default).carrier, "unix")


class PassedTests(SynchronousTestCase):
    stream = PassedSocket(3, "echo", socket.SOCK_STREAM, socket.AF_INET6)
    datagram = PassedSocket(4, "echo", socket.SOCK_DGRAM, socket.AF_INET6)
    unix = PassedSocket(5, "local", socket.SOCK_STREAM, socket.AF_UNIX)

    def listeners(self, text: str) -> list[Listener]:
        passed = [self.stream, self.datagram, self.unix]
        return parseListener("echo", text, passed=passed)

    def test_all(self) -> None:
        """systemd: is every passed socket, whatever its carrier."""
        found = self.listeners("systemd:")
        self.assertEqual(
            [listener.passed for listener in found], [self.stream, self.datagram, self.unix]
        )
        self.assertEqual([listener.carrier for listener in found], ["tcp", "udp", "unix"])
        self.assertEqual(found[1].displayName, "udp systemd:echo")

    def test_named(self) -> None:
        """systemd:NAME is the sockets of that name; layers are for the streams."""
        found = self.listeners("systemd:echo:proxy=v1")
        self.assertEqual([listener.passed for listener in found], [self.stream, self.datagram])
        self.assertEqual(
            [listener.layers for listener in found],
            [Layers(proxy=ProxyRule(ProxyProtocolVersion.V1)), Layers()],
        )

    def test_tls(self) -> None:
        """The default TLS is for passed TCP sockets too."""
        files = TLSFiles("c", "c")
        passed = [self.stream, self.datagram, self.unix]
        found = parseListener("echo", "systemd:", tls=files, passed=passed)
        self.assertEqual([listener.layers.tls for listener in found], [files, None, None])
        found = parseListener("echo", "systemd::tlsCert=d", tls=files, passed=passed)
        self.assertEqual([listener.carrier for listener in found], ["tls", "udp", "tls"])

    def test_none(self) -> None:
        """A name without a socket and an unknown argument are reported."""
        for text, why in (
            ("systemd:lab", "no socket of that name (there are: echo, local)"),
            ("systemd::backlog=3", "unknown"),
        ):
            error = self.assertRaises(ValueError, self.listeners, text)
            self.assertIn(why, str(error))


class ParseTests(SynchronousTestCase):
    def test_datagrams(self) -> None:
        """udp: is followed by a port, and an optional address."""
        self.assertEqual(parseListener("echo", "udp:7"), [Listener("echo", "udp:7")])

    def test_faults(self) -> None:
        """fault= is at any place of any description; spaces or commas separate the faults."""
        faults = parseFaults("delay=20ms±5ms corrupt=1%")
        for text, description in (
            ("tcp:7:fault=delay=20ms±5ms corrupt=1%", "tcp:7:backlog=1024"),
            ("tcp:fault=delay=20ms+-5ms,corrupt=1%:7", "tcp:7:backlog=1024"),
            ("udp:7:fault=delay=20ms±5ms,corrupt=1%", "udp:7"),
            ("udp:7:fault=delay=20ms±5ms,corrupt=1%:interface=::1", "udp:7:interface=::1"),
        ):
            [listener] = parseListener("echo", text.replace("::1", "\\:\\:1"))
            self.assertEqual(listener.faults, faults)
            self.assertEqual(listener.description, description.replace("::1", "\\:\\:1"))
        for text, why in (
            ("udp:7:fault=slow", "invalid listener 'udp:7:fault=slow': invalid fault 'slow'"),
            ("tcp:7:fault=loss=1%", "possible for datagrams only"),
        ):
            self.assertIn(why, str(self.assertRaises(ValueError, parseListener, "echo", text)))

    def test_udpPlus(self) -> None:
        """UDPEchoPlus is served on the datagram listeners only."""
        found = parseListener("udp-plus", "7", ("127.0.0.1",))
        self.assertEqual([listener.displayName for listener in found], ["udp 127.0.0.1:7"])
        error = self.assertRaises(ValueError, parseListener, "udp-plus", "tcp:7")
        self.assertEqual(str(error), "invalid listener 'tcp:7': UDP only (examples: 7, udp:7)")

    def test_refused(self) -> None:
        """Descriptions of Twisted that would lose data are refused, with the reason."""
        for text, why in (
            ("haproxy:tcp:7", "use tcp:PORT:proxy=any"),
            ("stdio:", "no address for clients"),
            ("std\\io:", "no address for clients"),
            ("tls:/certificates:7:proxy=v1", "use tcp:PORT:tlsCert=FILE:proxy=any"),
            ("tcp:7:proxy=v4", "(v1, v2 or any)"),
        ):
            self.assertIn(why, str(self.assertRaises(ValueError, parseListener, "echo", text)))

    def test_wrongDescriptions(self) -> None:
        """A text that Twisted cannot parse is a ValueError with the text and the reason."""
        for text, why in (
            ("tcp:", "'' "),
            ("tcp:abc", "'abc'"),
            ("tcp://7", "must be a number (example: tcp:7)"),
            ("nonsense:7", "unknown type 'nonsense' (examples: 7, tcp:7:interface="),
            ("tcp:0:interface=::1", "use \\: for :"),
            ("systemd:domain=INET:index=0", "systemd passed no such socket"),
            ("tcp:" + "9" * 5000, "a number is too large"),
            ("tcp:0\\", "it ends with a backslash (use \\\\ for one)"),
            ("unix:/x:mode=9", "'9' must be an octal number (example: mode=660)"),
        ):
            error = self.assertRaises(ValueError, parseListener, "echo", text)
            self.assertIn(repr(text), str(error))
            self.assertIn(why, f"{error} ")
