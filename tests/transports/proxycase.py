"""An echo service behind a trusted proxy, in memory."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.addressfilter import AddressFilter
from echoproto.protocols.admission.connectionadmission import ConnectionAdmission
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.timeouts import Timeouts
from echoproto.testing import RecordingObserver, RecordingProtocol, StreamPair
from echoproto.transports.proxyheader import ProxyProtocolVersion
from echoproto.transports.proxyprotocol import ProxyProtocolFactory

TIMEOUTS = Timeouts()
PROXY = IPv4Address("TCP", "192.0.2.99", 40_000)
UNTRUSTED = IPv4Address("TCP", "192.0.2.98", 40_000)
CLIENT = IPv4Address("TCP", "198.51.100.1", 50_000)
CLIENT_6 = IPv6Address("TCP", "2001:db8::1", 50_000)


def line(client: IPv4Address | IPv6Address) -> bytes:
    """A version 1 header with ``client`` as its source."""
    family = "TCP6" if isinstance(client, IPv6Address) else "TCP4"
    return f"PROXY {family} {client.host} {client.host} {client.port} 7\r\n".encode()


def block(client: IPv4Address | IPv6Address | None) -> bytes:
    """A version 2 header with ``client`` as its source, or with the LOCAL command for ``None``."""
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    if client is None:
        return signature + b"\x20\x00\x00\x00"
    host = ip_address(client.host).packed
    body = host + host + struct.pack("!HH", client.port, 7)
    return (
        signature + struct.pack("!BBH", 0x21, 0x21 if len(host) == 16 else 0x11, len(body)) + body
    )


class ProxyProtocolTestCase(SynchronousTestCase):
    """An echo service behind a trusted proxy."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.observer = RecordingObserver()
        self.admission = ConnectionAdmission(self.clock.seconds, maximum=3, perSource=1)
        self.service = EchoFactory(self.clock, self.observer, self.admission, TIMEOUTS)
        self.factory = ProxyProtocolFactory(
            self.service, ProxyProtocolVersion.ANY, AddressFilter([PROXY.host])
        )

    def connect(self, peer: IAddress | None = PROXY) -> tuple[StreamPair, RecordingProtocol]:
        client = RecordingProtocol()
        return StreamPair(client, self.factory.buildProtocol(peer)), client

    def send(
        self, data: bytes, peer: IAddress | None = PROXY
    ) -> tuple[StreamPair, RecordingProtocol]:
        """Connect and send ``data``."""
        pair, client = self.connect(peer)
        client.link.write(data)
        pair.pump()
        return pair, client

    def wait(self, seconds: float, *pairs: StreamPair) -> None:
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            for pair in pairs:
                pair.pump()

    def close(self, *pairs: StreamPair) -> None:
        for pair in pairs:
            pair.client.loseConnection()
            pair.pump()

    def assertAborted(self, pair: StreamPair) -> None:
        self.assertIsInstance(pair.server.closed, ConnectionAborted)

    def assertReleased(self) -> None:
        """All places are released, and nothing is scheduled."""
        self.assertEqual(self.admission.open, 0)
        self.assertEqual(self.factory.tracker.connections, set())
        self.assertEqual(self.service.tracker.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])
