from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IListeningPort, IUDPTransport
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import Datagram, DatagramWire, MemoryDatagramPort
from echoproto.transports.datagramreactor import listenDatagrams


class Recording(DatagramProtocol):
    """Records received datagrams."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0
        self.stopped = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))

    def connectionRefused(self) -> None:
        self.refused += 1

    def stopProtocol(self) -> None:
        self.stopped = True


class WireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.server, self.client = Recording(), Recording()
        self.serverPort = self.wire.listenUDP(7, self.server)
        self.clientPort = self.wire.listenUDP(0, self.client)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.clientPort.write(message, ("127.0.0.1", 7))

    def received(self) -> list[bytes]:
        return [data for data, _ in self.server.received]

    def test_delivers(self) -> None:
        """A datagram is pending until delivered, and arrives with its source."""
        self.send(b"hi")
        self.assertEqual(
            self.wire.pending, [Datagram(("127.0.0.1", 50_000), ("127.0.0.1", 7), b"hi")]
        )
        self.wire.deliverAll()
        self.assertEqual(self.server.received, [(b"hi", ("127.0.0.1", 50_000))])

    def test_deliversSome(self) -> None:
        """deliver() delivers the requested number of datagrams, the oldest first."""
        self.send(b"a", b"b", b"c")
        self.wire.deliver(2)
        self.assertEqual(self.received(), [b"a", b"b"])

    def test_nonePending(self) -> None:
        """A datagram that is not pending cannot be lost, duplicated or exchanged."""
        with self.assertRaisesRegex(IndexError, "no datagram 0: 0 are pending"):
            self.wire.lose()
        self.assertRaises(IndexError, self.wire.duplicate)
        self.assertRaises(IndexError, self.wire.swap, 0, 1)

    def test_faults(self) -> None:
        """Datagrams can be lost, duplicated, reordered and corrupted by the test."""
        self.send(b"lost", b"twice", b"first", b"bits")
        self.wire.lose()
        self.wire.duplicate(0)
        self.wire.swap(1, 2)
        self.wire.corrupt(3, offset=1)
        self.wire.deliverAll()
        self.assertEqual(self.received(), [b"twice", b"first", b"twice", b"b\x96ts"])

    def test_refused(self) -> None:
        """Sending to a port without a listener is reported to connected ports only."""
        self.clientPort.write(b"x", ("127.0.0.1", 9))
        self.wire.deliverAll()
        self.assertEqual(self.client.refused, 0)
        self.clientPort.connect("127.0.0.1", 9)
        self.clientPort.write(b"x")
        self.wire.deliverAll()
        self.assertEqual(self.client.refused, 1)

    def test_connected(self) -> None:
        """A connected port receives only from its peer."""
        self.clientPort.connect("127.0.0.1", 7)
        stranger = self.wire.listenUDP(8, Recording())
        stranger.write(b"stranger", ("127.0.0.1", 50_000))
        self.serverPort.write(b"peer", ("127.0.0.1", 50_000))
        self.wire.deliverAll()
        self.assertEqual(self.client.received, [(b"peer", ("127.0.0.1", 7))])

    def test_others(self) -> None:
        """A connected port can report datagrams from other addresses."""
        others: list[object] = []
        self.clientPort.connect("127.0.0.1", 7)
        self.clientPort.reportOthers(lambda *datagram: others.append(datagram))
        self.wire.listenUDP(8, Recording()).write(b"other", ("127.0.0.1", 50_000))
        self.wire.deliverAll()
        self.assertEqual((self.client.received, others), ([], [(b"other", ("127.0.0.1", 8))]))

    def test_sizes(self) -> None:
        """Too long datagrams raise, and those over the receiver's limit are truncated."""
        self.assertRaises(MessageLengthError, self.send, b"x" * 65_508)
        self.send(b"x" * 8193)
        self.wire.deliverAll()
        self.assertEqual(len(self.received()[0]), 8192)

    def test_noAddress(self) -> None:
        """Writing on an unconnected port requires an address."""
        self.assertRaises(ValueError, self.clientPort.write, b"x")

    def test_inUse(self) -> None:
        """An address can be bound once."""
        self.assertRaises(CannotListenError, self.wire.listenUDP, 7, Recording())
        self.wire.listenUDP(7, Recording(), "192.0.2.1")

    def test_IPv6(self) -> None:
        """A port on ``::`` has the address ``::1``."""
        port = self.wire.listenUDP(7, Recording(), "::")
        self.assertEqual((port.getHost().host, port.getHost().port), ("::1", 7))
        port.write(b"x" * 65_527, ("::1", 7))
        self.assertRaises(MessageLengthError, port.write, b"x" * 65_528, ("::1", 7))

    def test_listenDatagrams(self) -> None:
        """listenDatagrams() on the wire makes a port that receives complete datagrams."""
        receiver = Recording()
        listenDatagrams(self.wire, 9, receiver)
        self.clientPort.write(b"x" * 65_507, ("127.0.0.1", 9))
        self.wire.deliverAll()
        self.assertEqual(len(receiver.received[0][0]), 65_507)

    def test_stop(self) -> None:
        """A stopped port leaves the wire and notifies its protocol."""
        self.successResultOf(self.serverPort.stopListening())
        self.successResultOf(self.serverPort.stopListening())
        self.assertTrue(self.server.stopped)
        self.assertNotIn(("127.0.0.1", 7), self.wire.ports)

    def test_noBroadcast(self) -> None:
        """Broadcasts are not supported."""
        self.clientPort.setBroadcastAllowed(True)
        self.assertFalse(self.clientPort.getBroadcastAllowed())

    def test_interfaces(self) -> None:
        """The port has all methods of the interfaces of Twisted's UDP port."""
        names = set(IUDPTransport.names()) | set(IListeningPort.names())
        self.assertTrue(all(hasattr(Port, name) for name in names))
        self.assertEqual([n for n in names if not hasattr(MemoryDatagramPort, n)], [])
