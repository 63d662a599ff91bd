from __future__ import annotations

from errno import ENETUNREACH
from os import strerror
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.errors import ConnectionClosed, DatagramTooLong
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.targets.interfaces import IChannel, ITarget
from echoproto.targets.udp import UDPTarget, UnconnectedUDPChannel, openUnconnectedChannel
from echoproto.testing import DatagramWire
from tests.targets.receiver import RecordingReceiver


class UnconnectedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.told: list[tuple[bytes, str, int]] = []

    def open(self, host: str, source: str = "", port: int = 0) -> UnconnectedUDPChannel:
        return openUnconnectedChannel(
            self.wire, lambda *what: self.told.append(what), host, source, port
        )

    def test_told(self) -> None:
        """Each reply is told with where it comes from, whoever that is, on both families."""
        for host in ("127.0.0.1", "127.0.0.2", "::1"):
            self.wire.listenUDP(7, EchoDatagramProtocol(self.wire), host)
            self.open(host).send(b"ping", host, 7)
            self.wire.deliverAll()
            self.assertEqual(self.told.pop(), (b"ping", host, 7))

    def test_source(self) -> None:
        """It may send from an address and a port of choice, if they can be had."""
        self.open("127.0.0.1", "127.0.0.9", 19).send(b"ping", "127.0.0.1", 7)
        self.assertEqual(self.wire.pending[0].source, ("127.0.0.9", 19))
        self.assertRaises(CannotListenError, self.open, "127.0.0.1", "127.0.0.9", 19)

    def test_closed(self) -> None:
        """After its closing nothing is told, and the port is free."""
        channel = self.open("127.0.0.1")
        channel.close()
        channel.datagramReceived(b"late", ("127.0.0.1", 7))
        self.assertEqual((self.told, self.wire.ports), ([], {}))


class Unreachable(DatagramWire):
    """A wire from which nothing can be reached."""

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)

        def connect(*args: Any) -> None:
            raise OSError(ENETUNREACH, strerror(ENETUNREACH))

        port.connect = connect
        return port


class DatagramTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.receiver = RecordingReceiver()

    def open(self, host: str = "127.0.0.1", **named: Any) -> Any:
        target = UDPTarget("udp://lab1:7", self.wire, host, 7, 4, **named)
        verifyObject(ITarget, target)
        channel = self.successResultOf(target.open(self.receiver))
        verifyObject(IChannel, channel)
        return channel

    def test_echo(self) -> None:
        """What is sent comes back, on IPv4 and on IPv6."""
        for host in ("127.0.0.1", "::1"):
            self.wire.listenUDP(7, EchoDatagramProtocol(self.wire), host)
            self.open(host).send(b"ping")
            self.wire.deliverAll()
            self.assertEqual(self.receiver.replies.pop(), b"ping")

    def test_source(self) -> None:
        """It may leave from an address of choice."""
        self.open(source="127.0.0.9").send(b"ping")
        self.assertEqual(self.wire.pending[0].source[0], "127.0.0.9")

    def test_refused(self) -> None:
        """That nobody is there is told, until it is closed; nothing is told after that."""
        channel = self.open()
        channel.send(b"ping")
        self.wire.deliverAll()
        self.assertEqual(self.receiver.reasons, ["refused: nothing listens there"])
        channel.close()
        channel.connectionRefused()
        channel.datagramReceived(b"ping", ("127.0.0.1", 7))
        self.assertEqual((len(self.receiver.reasons), self.receiver.replies), (1, []))
        self.assertEqual(self.wire.ports, {})

    def test_tooLong(self) -> None:
        """What no datagram holds raises."""
        with self.assertRaisesRegex(DatagramTooLong, "65508 bytes do not fit"):
            self.open().send(bytes(65_508))

    def test_noWay(self) -> None:
        """Where there is no route it fails, and leaves no port open."""
        self.wire = Unreachable()
        target = UDPTarget("udp://lab1:7", self.wire, "192.0.2.1", 7, 4)
        failure = self.failureResultOf(target.open(self.receiver), ConnectionClosed)
        self.assertEqual(str(failure.value), "no route to 192.0.2.1: Network is unreachable")
        self.assertEqual(self.wire.ports, {})
