from __future__ import annotations

import socket
from typing import Any, cast
from unittest import mock

from twisted.internet.error import CannotListenError, InvalidAddressError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.datagram import MAX_IPV6_DATAGRAM
from echoproto.transports.scopedport import ScopedPort
from tests.transports.fakeudpsocket import RecordingEcho
from tests.transports.test_pktinfo import IP_PKTINFO


class ScopedPortTests(SynchronousTestCase):
    def listening(self, interface: str) -> Any:
        port: Any = ScopedPort(
            0, RecordingEcho(), interface, reactor=cast(Any, MemoryReactorClock())
        )
        port.startListening()
        self.addCleanup(port.connectionLost)
        return port

    def test_IPv4(self) -> None:
        """A socket of IPv4 has the options of a server, and the address that was chosen."""
        port = self.listening("127.0.0.1")
        self.assertEqual(port.socket.getsockopt(socket.IPPROTO_IP, IP_PKTINFO), 1)
        self.assertEqual(port.getHost().host, "127.0.0.1")

    def test_IPv6(self) -> None:
        """An IPv6 port requests it too, and is limited to IPv6."""
        handle = cast(Any, self.listening("::1")).getHandle()
        options = (socket.IPV6_RECVPKTINFO, socket.IPV6_V6ONLY)
        self.assertEqual([handle.getsockopt(socket.IPPROTO_IPV6, o) for o in options], [1, 1])

    def test_adopted(self) -> None:
        """A port adopted from a bound socket listens on a duplicate of it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
            bound.bind(("127.0.0.1", 0))
            adopt = cast(Any, ScopedPort)._fromListeningDescriptor
            reactor = MemoryReactorClock()
            port = adopt(reactor, bound.fileno(), bound.family, RecordingEcho(), MAX_IPV6_DATAGRAM)
            port.startListening()
            self.addCleanup(port.connectionLost)
            self.assertEqual(port.getHost().port, bound.getsockname()[1])

    def test_unavailable(self) -> None:
        """An unavailable address raises CannotListenError."""
        with self.assertRaises(CannotListenError) as raised:
            self.listening("192.0.2.1")
        self.assertEqual(raised.exception.interface, "192.0.2.1")

    def test_connectToName(self) -> None:
        """A port cannot be connected to a name, because a lookup would block the reactor."""
        with self.assertRaises(InvalidAddressError):
            self.listening("127.0.0.1").connect("localhost", 7)

    def test_connect(self) -> None:
        """A connected port sends to that address, with the scope of a link-local one."""
        port = self.listening("127.0.0.1")
        other = self.listening("127.0.0.1")
        port.connect("127.0.0.1", other.getHost().port)
        self.assertEqual(port.socket.getpeername(), other.socket.getsockname())
        fake, port.socket = port.socket, mock.Mock()
        port.addressFamily = socket.AF_INET6
        port.connect("fe80::1%lo", 7)
        port.socket.connect.assert_called_with(("fe80::1", 7, 0, socket.if_nametoindex("lo")))
        port.socket = fake

    def test_dropped(self) -> None:
        """Datagrams that the kernel dropped are counted since the port began to listen."""
        port, client = self.listening("127.0.0.1"), self.listening("127.0.0.1")
        self.assertEqual(port.droppedDatagrams(), 0)
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(100):
            client.socket.sendto(bytes(1000), port.socket.getsockname())
        self.assertTrue(0 < port.droppedDatagrams() < 100)

    def test_others(self) -> None:
        """
        A connected port can report datagrams from other addresses, until it is told to stop or is
        closed; those of its peer are its own.
        """
        received: list[Any] = []
        port: Any = self.listening("127.0.0.1")
        other, peer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for made in (other, peer):
            made.bind(("127.0.0.1", 0))
            self.addCleanup(made.close)
        port.connect(*peer.getsockname())
        port.reportOthers(lambda *datagram: received.append(datagram))
        reporting = port._others
        self.addCleanup(reporting.connectionLost)
        for made in (other, peer):
            made.sendto(b"hi", port.socket.getsockname())
        reporting.doRead()
        port.doRead()
        self.assertEqual(received, [(b"hi", other.getsockname())])
        self.assertEqual(port.protocol.received, [(b"hi", peer.getsockname())])
        port.stopListening()
        self.assertIsNone(port._others)

    def test_noOthers(self) -> None:
        """Without a second socket nothing is reported."""
        port: Any = self.listening("127.0.0.1")
        with mock.patch.object(
            ScopedPort, "startListening", side_effect=CannotListenError("", 0, OSError())
        ):
            port.reportOthers(lambda *datagram: None)
        self.assertIsNone(port._others)
