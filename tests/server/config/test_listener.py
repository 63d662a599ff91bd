from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates.tlsfiles import TLSFiles
from echoproto.server.config.layers import Layers
from echoproto.server.config.listener import (
    Listener,
    addressText,
    describeNumber,
    hostPort,
    listenerName,
    passedCarrier,
)
from echoproto.server.systemd import PassedSocket
from echoproto.transports.unix import UNIXPeer

FILES = TLSFiles("c", "c")


def numbered(kind: str, interface: str, tls: TLSFiles | None = None) -> Listener:
    """A listener of the bare number 0."""
    description = describeNumber(kind, 0, interface)
    return Listener("echo", description, 0, interface, layers=Layers(tls))


class ListenerTests(SynchronousTestCase):
    def test_withPort(self) -> None:
        """withPort() moves a listener of a bare number; one with TLS stays TCP."""
        moved = numbered("tcp", "::1").withPort(7)
        self.assertEqual(moved.description, "tcp:7:interface=\\:\\:1:backlog=1024")
        self.assertEqual((moved.port, moved.interface), (7, "::1"))
        moved = numbered("tcp", "127.0.0.1", FILES).withPort(7)
        self.assertEqual(moved.description, "tcp:7:interface=127.0.0.1:backlog=1024")
        self.assertEqual(moved.displayName, "tls 127.0.0.1:7")

    def test_carrier(self) -> None:
        """The carrier is the description's first word, without the 6, or that of the socket."""
        carriers = [Listener("echo", d).carrier for d in ("tcp6:7", "udp:7", "unix:/x", "tls:/c:7")]
        self.assertEqual(carriers, ["tcp", "udp", "unix", "tls"])
        for kind, family, carrier in (
            (socket.SOCK_DGRAM, socket.AF_INET, "udp"),
            (socket.SOCK_STREAM, socket.AF_INET6, "tcp"),
            (socket.SOCK_STREAM, socket.AF_UNIX, "unix"),
        ):
            passed = PassedSocket(3, "echo", kind, family)
            self.assertEqual(passedCarrier(passed), carrier)
            self.assertEqual(Listener("echo", "systemd:echo", passed=passed).carrier, carrier)

    def test_displayName(self) -> None:
        """
        A bare number is shown as carrier and address, a passed socket by its name, a description as
        written.
        """
        names = [numbered(kind, host).displayName for kind, host in (("tcp", "::1"), ("udp", ""))]
        self.assertEqual(names, ["tcp [::1]:0", "udp :0"])
        passed = PassedSocket(3, "echo", socket.SOCK_DGRAM, socket.AF_INET)
        listener = Listener("echo", "systemd:echo", passed=passed)
        self.assertEqual(listener.displayName, "udp systemd:echo")
        self.assertEqual(Listener("echo", "unix:/x", written="unix:/y").displayName, "unix:/y")
        self.assertEqual(Listener("echo", "unix:/x").displayName, "unix:/x")

    def test_notUTF8(self) -> None:
        """Bytes of a path that are not UTF-8 are escaped in the name, which every log can hold."""
        self.assertEqual(Listener("echo", "unix:/x\udcff").displayName, "unix:/x\\udcff")
        self.assertEqual(Listener("echo", "unix:/\u00fc").displayName, "unix:/\u00fc")

    def test_certificates(self) -> None:
        """The contents of certificates can be added; a listener without any stays as it is."""
        loaded = TLSFiles("c", "c", contents={"c": b"PEM"})
        tls = numbered("tcp", "", FILES).withCertificates({FILES: loaded}).layers.tls
        assert tls is not None
        self.assertEqual(tls.contents, {"c": b"PEM"})
        without = Listener("echo", "tcp:7")
        self.assertIs(without.withCertificates({}), without)

    def test_hostPort(self) -> None:
        """An IPv6 address is in brackets."""
        self.assertEqual((hostPort("::1", 7), hostPort("lab", 8)), ("[::1]:7", "lab:8"))


class NameTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """The text is host and port, with brackets for IPv6, or the path of a UNIX socket."""
        self.assertEqual(addressText(IPv4Address("TCP", "192.0.2.1", 40_000)), "192.0.2.1:40000")
        self.assertEqual(addressText(IPv6Address("TCP", "::1", 7)), "[::1]:7")
        self.assertEqual(addressText(UNIXAddress("/run/e\nx")), "/run/e\\nx")
        self.assertEqual(addressText(UNIXAddress(None)), "unnamed")
        self.assertEqual(addressText(UNIXAddress(b"\0name")), "@name")
        self.assertEqual(addressText(UNIXPeer("", 1000)), "unnamed of user 1000")
        self.assertEqual(addressText(None), "unnamed")

    def test_listenerName(self) -> None:
        """The name of a listener has its service and its place."""
        self.assertEqual(listenerName("echo", "tcp [::]:7"), "echo on tcp [::]:7")
