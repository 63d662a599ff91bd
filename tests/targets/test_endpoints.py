from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.error import DNSLookupError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import TargetError
from echoproto.targets.endpoints import ConnectOptions, makeTarget
from echoproto.targets.target import Target, parseTarget
from echoproto.testing import DatagramWire
from tests.certificates import serverPEM
from tests.targets.fakeresolver import Names


class Ears:
    """Hears nothing."""


class FindTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.reactor.nameResolver = Names("192.0.2.1")

    def find(self, text: str, size: int | None = 64, reactor: Any = None, **way: Any) -> Any:
        target = parseTarget(text)
        return makeTarget(
            reactor or self.reactor, target, size, lambda: 0, ConnectOptions(**way) if way else None
        )

    def found(self, text: str, **way: Any) -> Any:
        return self.successResultOf(self.find(text, **way))


class FindTests(FindTestCase):
    def test_tcp(self) -> None:
        """A name is looked up once, and its address is connected to."""
        target = self.found("lab1:7")
        self.assertEqual(
            (target.name, target.address, target.size), ("tcp://lab1:7", "192.0.2.1", 64)
        )
        target.open(Ears())
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 7))
        self.assertEqual(self.reactor.nameResolver.asked, [("lab1", None, "TCP")])

    def test_ipv6(self) -> None:
        """An IPv6 address is connected to as it is, from an address of choice."""
        self.found("[::1]:7", source="::1").open(Ears())
        host, port, _, _, source = self.reactor.tcpClients[0]
        self.assertEqual((host, port, source), ("::1", 7, ("::1", 0)))

    def test_numeric(self) -> None:
        """It may be called by its address."""
        self.assertEqual(
            self.found("udp://lab1:7", reactor=self.wire(), numeric=True).name, "udp://192.0.2.1:7"
        )
        self.assertEqual(self.found("lab1:7", numeric=True).name, "tcp://192.0.2.1:7")

    def wire(self) -> DatagramWire:
        wire = DatagramWire()
        wire.nameResolver = Names("192.0.2.1")
        return wire

    def test_udp(self) -> None:
        """A target on UDP, of one family and from an address of choice."""
        wire = self.wire()
        target = self.found("udp://lab1:7", reactor=wire, family=socket.AF_INET, source="192.0.2.9")
        self.successResultOf(target.open(Ears())).send(b"x")
        self.assertEqual(wire.pending[0].source[0], "192.0.2.9")
        self.assertEqual(wire.pending[0].destination, ("192.0.2.1", 7))

    def test_stream(self) -> None:
        """A stream without an end needs a carrier that has one."""
        self.assertIsNone(self.successResultOf(self.find("lab1", size=None)).size)
        failing = self.find("udp://lab1", size=None, reactor=self.wire())
        self.assertIn("needs a stream", str(self.failureResultOf(failing, TargetError).value))

    def test_noSuchHost(self) -> None:
        """A name without an address fails at once."""
        self.reactor.nameResolver = Names()
        self.failureResultOf(self.find("lab1"), DNSLookupError)

    def test_tooLong(self) -> None:
        """A probe that no datagram holds is an error before anything is sent."""
        for host, most in (("127.0.0.1", 65_507), ("[::1]", 65_527)):
            self.successResultOf(self.find(f"udp://{host}", most, self.wire()))
            failing = self.find(f"udp://{host}", most + 1, self.wire())
            self.assertIn(
                f"holds at most {most} bytes", str(self.failureResultOf(failing, TargetError).value)
            )

    def test_source(self) -> None:
        """An address to send from must be of the target's family."""
        for text in ("192.0.2.7", "udp://192.0.2.7"):
            failing = self.find(text, reactor=self.wire(), source="::1")
            self.assertIn(
                "one is IPv4, the other IPv6", str(self.failureResultOf(failing, TargetError).value)
            )

    def test_unix(self) -> None:
        """A UNIX socket has no address to look up."""
        self.found("unix:///run/echo").open(Ears())
        self.assertEqual(self.reactor.unixClients[0][0], "/run/echo")
        longest = "/" + 106 * "x"
        self.found(f"unix://{longest}")
        failing = self.find(f"unix://{longest}x")
        self.assertIn("107 bytes at most", str(self.failureResultOf(failing, TargetError).value))

    def test_endpoint(self) -> None:
        """What Twisted describes as a client."""
        target = Target("mine", "endpoint", path="tcp:host=192.0.2.7:port=9")
        self.successResultOf(makeTarget(self.reactor, target, 64, lambda: 0)).open(Ears())
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.7", 9))
        wrong = makeTarget(
            self.reactor, Target("mine", "endpoint", path="nonsense:7"), 64, lambda: 0
        )
        self.assertIn(
            "nonsense:7: invalid description for --endpoint",
            str(self.failureResultOf(wrong, TargetError).value),
        )

    def test_empty(self) -> None:
        """An empty probe can be sent as a datagram only."""
        self.assertEqual(self.found("udp://lab1", size=0, reactor=self.wire()).size, 0)
        self.assertIn("-s", str(self.failureResultOf(self.find("lab1", size=0), TargetError).value))


class TLSTests(FindTestCase):
    def hello(self, **way: Any) -> bytes:
        """What a TLS client says first."""
        self.found("tls://localhost:7", **way).open(Ears())
        factory = self.reactor.tcpClients[-1][2]
        protocol = factory.buildProtocol(None)
        transport: Any = StringTransport()
        transport.setTcpNoDelay = lambda enabled: None
        protocol.makeConnection(transport)
        said: bytes = transport.value()
        return said

    def certificates(self, content: bytes) -> str:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    def test_greeting(self) -> None:
        """TLS is spoken, and where certificates are verified the server is told whom we want."""
        for way in ({}, {"trust": self.certificates(serverPEM())}):
            said = self.hello(**way)
            self.assertEqual(said[:1], b"\x16")
            self.assertIn(b"localhost", said)
        self.assertEqual(self.hello(verify=False)[:1], b"\x16")

    def test_noCertificates(self) -> None:
        """A file without certificates is an error that names it."""
        missing = self.mktemp()
        for path, says in (
            (missing, "No such file"),
            (self.certificates(b"nothing"), "no certificates in PEM"),
            (self.certificates(b"x-----END CERTIFICATE-----"), "no certificates in PEM"),
        ):
            failure = self.failureResultOf(self.find("tls://lab1", trust=path), TargetError)
            self.assertEqual(str(failure.value).partition(": ")[0], path)
            self.assertIn(says, str(failure.value))

    def test_noTLS(self) -> None:
        """Without pyOpenSSL the remedy is told."""
        with mock.patch.dict(sys.modules, {"twisted.internet.ssl": None}):
            failure = self.failureResultOf(self.find("tls://lab1"), TargetError)
        self.assertIn("pip install 'echoproto[tls]'", str(failure.value))
