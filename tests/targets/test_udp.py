from __future__ import annotations

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.targets.udp import UnconnectedUDPChannel, openUnconnectedChannel
from echoproto.testing import DatagramWire


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
