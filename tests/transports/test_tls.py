"""The factory of TLS, and the memory that its connections share."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.testing import RecordingProtocol, StreamPair
from echoproto.testing.streams import CLIENT_ADDRESS
from echoproto.transports.tls import TLSStreamFactory
from echoproto.transports.tlsstream import TLSStream
from tests.certificates import serverContext
from tests.transports.tlscase import SingleFactory, TLSClient, TLSTestCase


class SharedMemoryTests(TLSTestCase):
    """Connections of one factory use the same memory, one after the other."""

    def both(self, first: RecordingProtocol, second: RecordingProtocol) -> None:
        """Connect two clients to servers of one factory, and complete the first handshake."""
        self.connect(SingleFactory(first))
        self.pair.pump()
        self.server.factory.wrappedFactory = SingleFactory(second)
        self.otherClient = TLSClient(self.version)
        self.otherPair = StreamPair(
            self.otherClient, self.server.factory.buildProtocol(CLIENT_ADDRESS)
        )

    def test_writtenInEvent(self) -> None:
        """A protocol that receives may write to the other connection before its own."""
        target = RecordingProtocol()

        class CopyingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                target.link.write(data)
                self.link.write(data[::-1])
                target.link.write(data)

        self.both(CopyingProtocol(), target)
        self.otherPair.pump()
        for _ in range(2):
            self.send(b"abc")
            self.otherPair.pump()
        self.assertEqual(self.client.received, b"cbacba")
        self.assertEqual(self.otherClient.received, b"abc" * 4)

    def test_handshakeInEvent(self) -> None:
        """The handshake of the other connection may happen while a protocol receives."""
        test = self

        class WaitingProtocol(RecordingProtocol):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                test.otherPair.pump()
                self.link.write(data)

        other = RecordingProtocol()
        self.both(WaitingProtocol(), other)
        self.client._tls.send(b"ab")
        self.client._tls.send(b"cd")
        self.send()
        self.assertEqual(self.client.received, b"abcd")
        self.otherClient.send(b"other")
        self.otherPair.pump()
        self.assertEqual(other.received, b"other")

    def test_failure(self) -> None:
        """What a failed connection has received does not reach the other one."""
        other = RecordingProtocol()
        self.both(RecordingProtocol(), other)
        self.client.link.write(b"garbage" * 100)
        self.pair.pump()
        self.otherPair.pump()
        self.otherClient.send(b"other")
        self.otherPair.pump()
        self.assertEqual(other.received, b"other")


class FactoryTests(SynchronousTestCase):
    def build(self, protocol: Protocol | None) -> Any:
        tls = TLSStreamFactory(serverContext, SingleFactory(protocol), Clock())
        return tls.buildProtocol(CLIENT_ADDRESS)

    def test_wraps(self) -> None:
        """The factory wraps the protocol of the other factory."""
        stream = self.build(protocol := RecordingProtocol())
        self.assertIsInstance(stream, TLSStream)
        self.assertIs(stream.wrappedProtocol, protocol)

    def test_startsAndStops(self) -> None:
        """The other factory is started and stopped with it."""
        wrapped: Any = mock.Mock()
        factory = TLSStreamFactory(serverContext, wrapped, Clock())
        factory.doStart()
        factory.doStop()
        self.assertEqual([call[0] for call in wrapped.method_calls], ["doStart", "doStop"])

    def test_none(self) -> None:
        """If the other factory returns no protocol, the connection is refused."""
        self.assertIsNone(self.build(None))
