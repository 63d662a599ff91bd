from __future__ import annotations

from errno import EPERM
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.datagram import IDatagramEcho
from echoproto.protocols.echo import EchoDatagramProtocol, EchoFactory, EchoProtocol
from echoproto.protocols.observer import DatagramTotals
from echoproto.testing import DatagramWire
from echoproto.testing.streams import CLIENT_ADDRESS
from tests.protocols.admission.test_datagramadmission import rawSource
from tests.protocols.test_datagram import NO_REFUSALS


class EchoProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = StringTransport()
        self.protocol = EchoFactory(Clock()).buildProtocol(CLIENT_ADDRESS)
        self.protocol.makeConnection(self.transport)

    def test_echo(self) -> None:
        """Every byte value is echoed, in order, and both directions are counted."""
        self.protocol.dataReceived(bytes(range(256)))
        self.assertEqual(self.transport.value(), bytes(range(256)))
        self.assertEqual((self.protocol.bytesReceived, self.protocol.bytesSent), (256, 256))

    def test_discarding(self) -> None:
        """Data received after the server's FIN is counted, not echoed."""
        self.protocol.dataReceived(b"before")
        self.protocol.finish()
        self.protocol.dataReceived(b"after")
        self.assertEqual(self.transport.value(), b"before")
        self.assertEqual((self.protocol.bytesReceived, self.protocol.bytesSent), (11, 6))


class RelayTransport(StringTransport):
    """A transport that can relay."""

    bytesRelayed = 0
    target: object = None

    def relayTo(self, target: object) -> None:
        self.target = target

    def stopRelaying(self) -> None:
        self.target = None


class RelayTests(SynchronousTestCase):
    def connected(self, factory: EchoFactory) -> Any:
        protocol: Any = factory.buildProtocol(CLIENT_ADDRESS)
        protocol.makeConnection(self.transport)
        return protocol

    def setUp(self) -> None:
        self.transport: Any = RelayTransport()

    def test_relayed(self) -> None:
        """A transport that can relay returns the bytes itself; they count as any others."""
        protocol = self.connected(EchoFactory(Clock()))
        self.assertIs(self.transport.target, self.transport)
        self.transport.bytesRelayed = 5
        protocol.dataReceived(b"before")
        self.assertEqual((protocol.bytesReceived, protocol.bytesSent), (11, 11))

    def test_finish(self) -> None:
        """Nothing is relayed after the server's FIN; later data is counted, not echoed."""
        protocol = self.connected(EchoFactory(Clock()))
        self.transport.bytesRelayed = 5
        protocol.finish()
        self.assertIsNone(self.transport.target)
        protocol.dataReceived(b"after")
        self.assertEqual((protocol.bytesReceived, protocol.bytesSent), (10, 5))

    def test_subclass(self) -> None:
        """A subclass with a dataReceived of its own gets the data."""

        class LoggedEcho(EchoProtocol):
            def dataReceived(self, data: bytes) -> None:
                raise NotImplementedError

        factory = EchoFactory(Clock())
        factory.protocol = LoggedEcho
        self.connected(factory)
        self.assertIsNone(self.transport.target)


class BatchTests(SynchronousTestCase):
    def test_counts(self) -> None:
        """Datagrams of batches are counted as single ones are, and so are refusals and errors."""
        service = EchoDatagramProtocol(Clock())
        sources = [rawSource("192.0.2.1", port) for port in (40_000, 7, 40_001, 19)]
        self.assertEqual(service.admit(sources, 100), (1, 3))
        self.assertEqual(service.admit(sources[:1], 25), ())
        service.sent(1, 25)
        service.sendFailed(OSError(EPERM, "x"))
        refused = {**NO_REFUSALS, Refusal.LOOPING_PORT.value: 2}
        expected = DatagramTotals(5, 1, 125, 25, refused, {"send EPERM": 1})
        self.assertEqual(service.totals(), expected)

    def test_interface(self) -> None:
        """The service provides IDatagramEcho; a subclass does not, unless it says so."""
        verifyObject(IDatagramEcho, EchoDatagramProtocol(Clock()))
        subclass = type("Subclass", (EchoDatagramProtocol,), {})
        self.assertFalse(IDatagramEcho.providedBy(subclass(Clock())))


class UppercaseDatagramProtocol(EchoDatagramProtocol):
    def reply(self, request: bytes) -> bytes | Refusal:
        return request.upper()


class DiscardDatagramProtocol(UppercaseDatagramProtocol):
    def answer(self, request: bytes, addr: tuple[Any, ...], /) -> bool:
        return False


class EchoDatagramTests(SynchronousTestCase):
    def test_subclass(self) -> None:
        """A subclass with a reply of its own sends that, unless it has an answer of its own."""
        for service, replies in (
            (UppercaseDatagramProtocol, [b"HELLO"]),
            (DiscardDatagramProtocol, []),
        ):
            wire = DatagramWire()
            protocol = service(wire)
            wire.listenUDP(7, protocol)
            protocol.datagramReceived(b"hello", ("192.0.2.1", 40_000))
            self.assertEqual([datagram.data for datagram in wire.pending], replies)

    @given(st.binary())
    def test_reply(self, data: bytes) -> None:
        """The reply to any datagram is that datagram, and both are counted."""
        wire = DatagramWire()
        service = EchoDatagramProtocol(wire)
        wire.listenUDP(7, service)
        service.datagramReceived(data, ("192.0.2.1", 40_000))
        self.assertEqual([datagram.data for datagram in wire.pending], [data])
        self.assertEqual(service.totals(), DatagramTotals(1, 1, len(data), len(data), NO_REFUSALS))
