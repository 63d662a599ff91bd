from __future__ import annotations

from collections.abc import Sequence
from errno import EHOSTUNREACH, EMSGSIZE
from socket import AF_INET, SO_RCVBUF, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any
from unittest import mock

from twisted.internet.error import MessageLengthError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.host import ResolvedHost
from echoproto.client.targets.interfaces import IChannel, ITarget
from echoproto.client.targets.udp import MAX_WATCHED, UDPTarget
from echoproto.client.targets.unanswered import MAX_UNANSWERED
from echoproto.errors import ConnectionClosed, DatagramTooLong
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.protocols.echoplus import EchoPlusDatagramProtocol
from echoproto.protocols.greeting import GreetingDatagramProtocol
from echoproto.testing import Datagram, DatagramWire
from tests.client.targets.receiver import RecordingReceiver
from tests.client.targets.wires import SocketWire


class ConnectedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.receiver = RecordingReceiver()

    def open(self, host: str | Sequence[str] = "127.0.0.1", **options: Any) -> Any:
        hosts = [host] if isinstance(host, str) else host
        target = UDPTarget("udp://lab1:7", self.wire, ResolvedHost(hosts), 7, 4, **options)
        self.target = target
        verifyObject(ITarget, target)
        channel = self.successResultOf(target.open(self.receiver))
        verifyObject(IChannel, channel)
        return channel

    def test_echo(self) -> None:
        """A datagram is echoed, on IPv4 and on IPv6."""
        for host in ("127.0.0.1", "::1"):
            self.wire.listenUDP(7, EchoDatagramProtocol(self.wire), host)
            self.open(host).send(b"ping")
            self.wire.deliverAll()
            self.assertEqual(self.receiver.replies.pop(), b"ping")

    def test_greeting(self) -> None:
        """A greeting service is recognized by its first reply."""
        self.wire.listenUDP(7, GreetingDatagramProtocol(self.wire))
        self.open().send(bytes(40))
        self.wire.deliverAll()
        self.assertEqual(self.target.hint, "this is a greeting service; try echoproto greet")

    def test_hint(self) -> None:
        """A UDPEchoPlus server is recognized by its first reply; an echo server needs no hint."""
        for protocol, hint in (
            (EchoDatagramProtocol, ""),
            (EchoPlusDatagramProtocol, "the server speaks UDPEchoPlus; try ping --mode udp-plus"),
        ):
            self.wire = DatagramWire()
            self.wire.listenUDP(7, protocol(self.wire), "127.0.0.1")
            channel = self.open()
            # More than are remembered, besides the first.
            for number in range(2 * MAX_UNANSWERED):
                channel.send(bytes([number + 1]) * 64)
            self.wire.deliverAll()
            self.assertEqual(self.target.hint, hint)

    def test_source(self) -> None:
        """Datagrams are sent from the source address."""
        self.open(connectOptions=ConnectOptions(source="127.0.0.9")).send(b"ping")
        self.assertEqual(self.wire.pending[0].source[0], "127.0.0.9")

    def test_refused(self) -> None:
        """A refused datagram is reported; after ``close`` nothing is."""
        channel = self.open()
        channel.send(b"ping")
        self.wire.deliverAll()
        self.assertEqual(self.receiver.reasons, ["refused: nothing listens there"])
        channel.close()
        channel.close()
        channel.connectionRefused(channel._port)
        channel.datagramReceived(b"ping", ("127.0.0.1", 7))
        self.assertEqual((len(self.receiver.reasons), self.receiver.replies), (1, []))
        self.assertEqual(self.wire.ports, {})

    def test_names(self) -> None:
        """A target may be named by the address in use."""
        self.open(["127.0.0.1", "127.0.0.2"], rename=str.upper)
        self.assertEqual((self.target.name, self.target.address), ("127.0.0.1", "127.0.0.1"))
        self.open()
        self.assertEqual(self.target.name, "udp://lab1:7")

    def test_secondAddress(self) -> None:
        """If the first address refuses before any reply, the second one is used from then on."""
        self.wire.listenUDP(7, EchoDatagramProtocol(self.wire), "127.0.0.2")
        channel = self.open(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        refused = channel._port
        channel.send(b"one")
        channel.send(b"two")
        self.wire.deliverAll()
        self.assertEqual((self.receiver.replies, self.receiver.reasons), ([b"one", b"two"], []))
        self.assertEqual(self.target.address, "127.0.0.2")
        # A refusal of the closed port is ignored.
        channel.connectionRefused(refused)
        self.assertEqual(self.receiver.reasons, [])
        # After a reply the address is kept.
        channel.connectionRefused(channel._port)
        self.assertEqual(self.receiver.reasons, ["refused: nothing listens there"])
        channel.close()
        self.assertEqual(list(self.wire.ports), [("127.0.0.2", 7)])

    def test_networkError(self) -> None:
        """The report of the network is the reason; a datagram that is too large names the MTU."""
        with socket(AF_INET, SOCK_DGRAM) as connected:
            connected.connect(("127.0.0.1", 9))
            self.wire = SocketWire(connected)
            channel = self.open(connectOptions=ConnectOptions(dontFragment=True))
            for number in (EHOSTUNREACH, EMSGSIZE):
                channel._port.transport.networkError = number
                channel.connectionRefused(channel._port)
            unreachable, tooLarge = self.receiver.reasons
            self.assertEqual(unreachable, "unreachable: No route to host")
            self.assertRegex(tooLarge, r"^too large for the path, whose MTU is \d+$")
            channel._write = mock.Mock(side_effect=MessageLengthError)
            with self.assertRaisesRegex(DatagramTooLong, r"4 bytes .* MTU of the path is \d+$"):
                channel.send(b"ping")

    def test_noSecondAddress(self) -> None:
        """If all addresses refuse, that is reported; or if the others have no route."""
        self.open(["127.0.0.1", "127.0.0.2"]).send(b"ping")
        self.wire.deliverAll()
        self.assertEqual(self.receiver.reasons, ["refused: nothing listens there"])
        channel = self.open(["127.0.0.1", "127.0.0.2"])
        channel.send(b"ping")
        self.target.connect = mock.Mock(  # type: ignore[method-assign]
            side_effect=ConnectionClosed("no route to 127.0.0.2")
        )
        self.wire.deliverAll()
        self.assertEqual(
            self.receiver.reasons[1:],
            ["127.0.0.1 refused: nothing listens there; no route to 127.0.0.2"],
        )

    def test_otherAddress(self) -> None:
        """Until the first reply, a reply from another address is reported, but no other data."""
        channel = self.open()
        channel.send(b"ping")
        self.wire.pending.clear()
        here = channel._port.transport.address
        for data in (b"ping", b"ping", b"else"):
            self.wire.pending.append(Datagram(("127.0.0.9", 7), here, data))
        self.wire.deliverAll()
        reason = "the reply is from 127.0.0.9 port 7, not from 127.0.0.1 port 7"
        self.assertEqual((self.receiver.replies, self.receiver.reasons), ([], [reason]))
        channel.send(b"pong")
        channel.datagramReceived(b"pong", ("127.0.0.1", 7))
        self.wire.pending[:] = [Datagram(("127.0.0.9", 7), here, b"pong")]
        self.wire.deliverAll()
        self.assertEqual((self.receiver.replies, len(self.receiver.reasons)), ([b"pong"], 1))

    def test_watched(self) -> None:
        """A limited number of channels of a target watch for other addresses."""
        self.open()
        channels = [self.successResultOf(self.target.open(self.receiver)) for _ in range(20)]
        self.assertEqual(self.target.watched, MAX_WATCHED)
        for channel in channels:
            channel.close()
        self.assertEqual(self.target.watched, 1)
        unwatched = channels[-1]
        unwatched.send(b"ping")
        self.assertIsNone(unwatched._port.transport)

    def test_tooLong(self) -> None:
        """A probe longer than a datagram can be raises."""
        with self.assertRaisesRegex(DatagramTooLong, "65508 bytes do not fit"):
            self.open().send(bytes(65_508))

    def test_dropped(self) -> None:
        """Its receive buffer is enlarged, and its drops are known even when it is closed."""
        with socket(AF_INET, SOCK_DGRAM) as receiver:
            self.wire = SocketWire(receiver)
            before = receiver.getsockopt(SOL_SOCKET, SO_RCVBUF)
            channel = self.open()
            self.assertGreater(receiver.getsockopt(SOL_SOCKET, SO_RCVBUF), before)
            self.assertEqual((channel.dropped(), channel.waited()), (0, 0))
            channel.close()
        self.assertEqual((channel.dropped(), channel.waited()), (0, 0))

    def test_closedByOthers(self) -> None:
        """A port that other code closes is reported; one that the channel closes is not."""
        reports: list[str] = []
        for isOwn in (True, False):
            channel = self.open()
            channel.closedByOthers = lambda: reports.append("closed")
            if isOwn:
                channel.close()
            else:
                channel._transport.stopListening()
        self.assertEqual(reports, ["closed"])
