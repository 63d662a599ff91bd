from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.error import DNSLookupError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.target import Target, parseTarget
from echoproto.errors import TargetError
from echoproto.testing import DatagramWire
from echoproto.text.units import SECOND
from tests.certificates import serverPEM
from tests.client.targets.fakeresolver import FakeResolver
from tests.client.targets.receiver import RecordingReceiver


class MakeTargetTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reactor.nameResolver = FakeResolver("192.0.2.1")

    def make(self, text: str, size: int | None = 64, reactor: Any = None, **options: Any) -> Any:
        connect = ConnectOptions(**options)
        return makeTarget(reactor or self.reactor, parseTarget(text), size, lambda: 0, connect)

    def made(self, text: str, **options: Any) -> Any:
        return self.successResultOf(self.make(text, **options))

    def errorOf(self, making: Any) -> str:
        """The message of the ``TargetError``."""
        return str(self.failureResultOf(making, TargetError).value)


class MakeTargetTests(MakeTargetTestCase):
    def test_tcp(self) -> None:
        """A name is resolved, and connections go to its address."""
        target = self.made("lab1:7")
        self.assertEqual(
            (target.name, target.address, target.size), ("tcp://lab1:7", "192.0.2.1", 64)
        )
        target.open(RecordingReceiver())
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 7))
        self.assertEqual(self.reactor.nameResolver.lookups, [("lab1", None, "TCP")])

    def test_lookAgain(self) -> None:
        """A name is looked up again for later connections, unless that is excluded."""
        for lookAgain, lookups, address in ((True, 2, "192.0.2.9"), (False, 1, "192.0.2.1")):
            resolver = self.reactor.nameResolver = FakeResolver("192.0.2.1")
            target = self.made("lab1:7", lookAgain=lookAgain)
            resolver.addresses = ("192.0.2.9",)
            self.reactor.advance(10)
            for _ in range(2):
                target.open(RecordingReceiver())
            self.assertEqual(len(resolver.lookups), lookups)
            self.assertEqual((self.reactor.tcpClients[-1][0], target.address), (address, address))

    def test_turn(self) -> None:
        """Connections use the addresses of a name in turn, from the requested one on."""
        self.reactor.nameResolver = FakeResolver("192.0.2.1", "192.0.2.2", "192.0.2.3")
        target = self.made("lab1:7", turn=1)
        for _ in range(3):
            target.open(RecordingReceiver())
        self.assertEqual(
            [client[0] for client in self.reactor.tcpClients],
            ["192.0.2.2", "192.0.2.3", "192.0.2.1"],
        )

    def test_ipv6(self) -> None:
        """A target can be an IPv6 address; connections come from the source address."""
        self.made("[::1]:7", source="::1").open(RecordingReceiver())
        host, port, _, _, source = self.reactor.tcpClients[0]
        self.assertEqual((host, port, source), ("::1", 7, ("::1", 0)))

    def test_scope(self) -> None:
        """The interface of a link-local address exists, or the target cannot be used."""
        for scope in ("lo", "1"):
            self.made(f"[fe80::1%{scope}]:7")
        for carrier in ("tcp", "udp"):
            failing = self.make(f"{carrier}://[fe80::1%nosuch0]:7")
            self.assertIn("fe80::1%nosuch0: no such interface;", self.errorOf(failing))

    def test_numeric(self) -> None:
        """With ``numeric`` the target is named by its address."""
        self.assertEqual(
            self.made("udp://lab1:7", reactor=self.wire(), numeric=True).name, "udp://192.0.2.1:7"
        )
        self.assertEqual(self.made("lab1:7", numeric=True).name, "tcp://192.0.2.1:7")

    def wire(self) -> DatagramWire:
        wire = DatagramWire()
        wire.nameResolver = FakeResolver("192.0.2.1")
        return wire

    def test_udp(self) -> None:
        """Datagrams are sent to the address of a name, from the source address."""
        wire = self.wire()
        target = self.made("udp://lab1:7", reactor=wire, family=socket.AF_INET, source="192.0.2.9")
        self.successResultOf(target.open(RecordingReceiver())).send(b"x")
        self.assertEqual(wire.pending[0].source[0], "192.0.2.9")
        self.assertEqual(wire.pending[0].destination, ("192.0.2.1", 7))

    def test_endless(self) -> None:
        """An endless stream needs a stream carrier."""
        self.assertIsNone(self.successResultOf(self.make("lab1", size=None)).size)
        failing = self.make("udp://lab1", size=None, reactor=self.wire())
        self.assertIn("datagrams need a size", self.errorOf(failing))

    def test_noSuchHost(self) -> None:
        """A name without an address fails."""
        self.reactor.nameResolver = FakeResolver()
        self.failureResultOf(self.make("lab1"), DNSLookupError)

    def test_lookupTime(self) -> None:
        """A name that is not looked up in time fails, and leaves nothing scheduled."""

        class SlowResolver(FakeResolver):
            def resolveHostName(self, *_: Any, **named: Any) -> Any:
                """Never answer."""

        clock: Any = MemoryReactorClock()
        clock.nameResolver = SlowResolver()
        making = makeTarget(clock, parseTarget("lab1"), 4, lambda: 0, lookupTime=2 * SECOND)
        clock.advance(2)
        failure = self.failureResultOf(making, DNSLookupError)
        self.assertIn("no address of lab1 in 2 s", str(failure.value))
        clock.nameResolver = FakeResolver("192.0.2.1")
        self.successResultOf(
            makeTarget(clock, parseTarget("lab1"), 4, lambda: 0, lookupTime=2 * SECOND)
        )
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_tooLong(self) -> None:
        """A probe longer than a datagram can be is an error before anything is sent."""
        for host, maximum in (("127.0.0.1", 65_507), ("[::1]", 65_527)):
            self.successResultOf(self.make(f"udp://{host}", maximum, self.wire()))
            failing = self.make(f"udp://{host}", maximum + 1, self.wire())
            self.assertIn(f"holds at most {maximum} bytes", self.errorOf(failing))

    def test_source(self) -> None:
        """The source address must be of the target's family; a name may have both."""
        for text in ("192.0.2.7", "udp://192.0.2.7"):
            failing = self.make(text, reactor=self.wire(), source="::1")
            self.assertIn("one is IPv4, the other IPv6", self.errorOf(failing))
        self.reactor.nameResolver = FakeResolver("::1", "192.0.2.1", "::2")
        target = self.made("lab1:7", source="192.0.2.9")
        self.assertEqual(target.host.addresses, ("192.0.2.1",))

    def test_unix(self) -> None:
        """A UNIX socket is connected by its path, which is limited to 107 bytes."""
        self.made("unix:///run/echo").open(RecordingReceiver())
        self.assertEqual(self.reactor.unixClients[0][0], "/run/echo")
        longest = "/" + 106 * "x"
        self.made(f"unix://{longest}")
        failing = self.make(f"unix://{longest}x")
        self.assertIn("107 bytes at most", self.errorOf(failing))

    def test_socketOptions(self) -> None:
        """
        A socket option that the kernel refuses is an error before anything is sent. UNIX sockets
        and endpoint descriptions have no such options; those of TCP still lead to the target.
        """
        for text in ("lab1:7", "udp://lab1:7"):
            failing = self.make(text, reactor=self.wire(), interface="no-such-device")
            self.assertIn("--interface no-such-device: no such", self.errorOf(failing))
        failing = self.make("unix:///run/echo", ttl=3)
        self.assertIn("--ttl and --dont-fragment need tcp, udp or tls", self.errorOf(failing))
        self.made("lab1:7", tos=8).open(RecordingReceiver())
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 7))

    def test_endpoint(self) -> None:
        """A target can be a client endpoint description of Twisted."""
        target = Target("mine", "endpoint", path="tcp:host=192.0.2.7:port=9")
        self.successResultOf(makeTarget(self.reactor, target, 64, lambda: 0)).open(
            RecordingReceiver()
        )
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.7", 9))
        for text, reason in (
            ("nonsense:7", ": Unknown endpoint type: 'nonsense'"),
            ("tcp:a", ""),
            ("tcp:lab1:7\\", ": it ends with a backslash"),
        ):
            wrong = makeTarget(self.reactor, Target("mine", "endpoint", path=text), 64, lambda: 0)
            self.assertIn(
                f"{text}: invalid description for --endpoint{reason} (examples: tcp:lab1:7, ",
                self.errorOf(wrong),
            )

    def test_empty(self) -> None:
        """An empty probe can only be a datagram."""
        self.assertEqual(self.made("udp://lab1", size=0, reactor=self.wire()).size, 0)
        self.assertIn("-s", self.errorOf(self.make("lab1", size=0)))


class TLSTests(MakeTargetTestCase):
    def clientHello(self, **options: Any) -> bytes:
        """The first data of a TLS client."""
        self.made("tls://localhost:7", **options).open(RecordingReceiver())
        factory = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(None)
        transport: Any = StringTransport()
        transport.setTcpNoDelay = lambda enabled: None
        protocol.makeConnection(transport)
        hello: bytes = transport.value()
        return hello

    def certificates(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_clientHello(self) -> None:
        """A connection begins with a TLS handshake; with verification it names the server (SNI)."""
        for options in ({}, {"caFile": self.certificates(serverPEM())}):
            hello = self.clientHello(**options)
            self.assertEqual(hello[:1], b"\x16")
            self.assertIn(b"localhost", hello)
        self.assertEqual(self.clientHello(verify=False)[:1], b"\x16")
        other = self.clientHello(serverName="lab9.example", alpn=("echo/1",))
        self.assertNotIn(b"localhost", other)
        self.assertIn(b"lab9.example", other)
        self.assertIn(b"\x06echo/1", other)
