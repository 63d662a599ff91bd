from __future__ import annotations

from errno import ENETUNREACH
from os import strerror
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.datagram import (
    DATAGRAM_TIMEOUT,
    EchoDatagramClient,
    connectEchoDatagram,
)
from echoproto.errors import (
    Closed,
    ConnectionClosed,
    DatagramTooLong,
    EchoMismatch,
    ExchangeCancelled,
    ExchangeTimeout,
)
from echoproto.protocols.echo import EchoDatagramProtocol
from echoproto.testing import Datagram, DatagramWire
from tests.client.targets.fakeresolver import FakeResolver


def unreachable(*arguments: Any) -> None:
    """Fail as a network without a route."""
    raise OSError(ENETUNREACH, strerror(ENETUNREACH))


class Unreachable(DatagramWire):
    """A wire without a route to any address."""

    def listenUDP(self, *args: Any, **kwargs: Any) -> Any:
        port: Any = super().listenUDP(*args, **kwargs)
        port.connect = port.write = unreachable
        return port


class DatagramClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wire = DatagramWire()
        self.service = EchoDatagramProtocol(self.wire)
        self.server = self.wire.listenUDP(7777, self.service, maxPacketSize=65_535)
        self.client = self.connect("127.0.0.1")

    def connect(self, host: str, port: int = 7777) -> EchoDatagramClient:
        return self.successResultOf(connectEchoDatagram(self.wire, host, port))

    def portOf(self, client: EchoDatagramClient) -> Any:
        """The address of the port of a client."""
        client.echo(b"where").addErrback(lambda _: None)
        return self.wire.pending.pop().source

    def test_fires(self) -> None:
        """An exchange fires with its message once it is echoed, and leaves no timer behind."""
        reply = self.client.echo(b"hello")
        self.assertNoResult(reply)
        self.wire.deliverAll()
        self.assertEqual(self.successResultOf(reply), b"hello")
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_anySize(self) -> None:
        """Empty datagrams and datagrams of the maximum size are echoed completely."""
        for size in (0, 1, 8193, 65_507):
            reply = self.client.echo(b"x" * size)
            self.wire.deliverAll()
            self.assertEqual(len(self.successResultOf(reply)), size)

    def test_reordered(self) -> None:
        """Replies out of order are matched by their content."""
        first, second = self.client.echo(b"first"), self.client.echo(b"second")
        self.wire.deliver()
        self.wire.swap(0, 1)
        self.wire.deliver(1)
        self.assertNoResult(first)
        self.assertEqual(self.successResultOf(second), b"second")
        self.wire.deliver(1)
        self.assertEqual(self.successResultOf(first), b"first")

    def test_lost(self) -> None:
        """A lost datagram makes only its own exchange time out."""
        lost, other = self.client.echo(b"lost"), self.client.echo(b"other")
        self.wire.lose()
        self.wire.deliverAll()
        self.assertEqual(self.successResultOf(other), b"other")
        self.wire.advance(DATAGRAM_TIMEOUT)
        self.failureResultOf(lost, ExchangeTimeout)

    def test_duplicated(self) -> None:
        """A duplicate reply is counted and causes no failure."""
        reply = self.client.echo(b"twice")
        self.wire.deliver()
        self.wire.duplicate()
        self.wire.deliverAll()
        self.successResultOf(reply)
        self.assertEqual(self.client.matcher.duplicates, 1)

    def test_corrupted(self) -> None:
        """A corrupt reply fails its exchange with the offset and both sides."""
        reply = self.client.echo(b"\x00\x01\x02")
        self.wire.deliver()
        self.wire.corrupt(offset=1)
        self.wire.deliverAll()
        error = self.failureResultOf(reply, EchoMismatch).value
        self.assertEqual((error.offset, error.sent, error.received), (1, b"\x01\x02", b"\xfe\x02"))

    def test_foreign(self) -> None:
        """A reply that matches no request is counted as foreign and causes no failure."""
        reply = self.client.echo(b"hello")
        self.client.replyReceived(b"stranger")
        self.assertEqual(self.client.matcher.foreign, 1)
        self.assertNoResult(reply)

    def test_late(self) -> None:
        """A reply after the timeout is counted as late and causes no failure."""
        reply = self.client.echo(b"slow", timeout=1.0)
        self.wire.advance(1.0)
        self.failureResultOf(reply, ExchangeTimeout)
        self.wire.deliverAll()
        self.assertEqual(self.client.matcher.late, 1)

    def test_cancelled(self) -> None:
        """A cancelled exchange fails with ExchangeCancelled."""
        reply = self.client.echo(b"hello")
        reply.cancel()
        self.failureResultOf(reply, ExchangeCancelled)
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """If no server listens, all outstanding exchanges fail."""
        client = self.connect("127.0.0.1", 9999)
        replies = [client.echo(b"a"), client.echo(b"b")]
        self.wire.deliver(1)
        for reply in replies:
            self.failureResultOf(reply, ConnectionClosed)

    def test_cancelledByASibling(self) -> None:
        """If no server listens, the errback of one exchange may cancel another exchange."""
        client = self.connect("127.0.0.1", 9999)
        first, second = client.echo(b"a"), client.echo(b"b")
        first.addErrback(lambda _: second.cancel())
        self.wire.deliver(1)
        self.successResultOf(first)
        self.failureResultOf(second, ExchangeCancelled)
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_tooLong(self) -> None:
        """A message too long for a datagram fails at once."""
        self.failureResultOf(self.client.echo(b"x" * 65_508), DatagramTooLong)
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_notSent(self) -> None:
        """A message that the network rejects fails at once."""
        self.client._channel._write = unreachable
        failure = self.failureResultOf(self.client.echo(b"x"), ConnectionClosed)
        self.assertEqual(str(failure.value), "not sent: Network is unreachable")

    def test_closeWaits(self) -> None:
        """close() waits for outstanding exchanges, then closes the port."""
        reply = self.client.echo(b"hello")
        closed = self.client.close()
        self.assertNoResult(closed)
        self.failureResultOf(self.client.echo(b"x"), Closed)
        self.failureResultOf(self.client.close(), Closed)
        self.wire.deliverAll()
        self.successResultOf(reply)
        self.successResultOf(closed)
        self.assertEqual(list(self.wire.ports), [("127.0.0.1", 7777)])

    def test_closeAfterALoss(self) -> None:
        """close() waits for a lost datagram only until its exchange times out."""
        reply = self.client.echo(b"lost", timeout=1.0)
        closed = self.client.close()
        self.wire.lose()
        self.wire.advance(1.0)
        self.failureResultOf(reply, ExchangeTimeout)
        self.successResultOf(closed)

    def test_closeFromACallback(self) -> None:
        """close() called from the callback of the last reply closes the port once."""
        closed: list[Deferred[None]] = []
        self.client.echo(b"last").addCallback(lambda _: closed.append(self.client.close()))
        self.wire.deliverAll()
        self.successResultOf(closed[0])

    def test_closeCancelled(self) -> None:
        """A cancelled close() fails outstanding exchanges and closes the port at once."""
        reply = self.client.echo(b"hello")
        closed = self.client.close()
        closed.cancel()
        self.failureResultOf(closed, ExchangeCancelled)
        self.failureResultOf(reply, ExchangeCancelled)
        self.assertEqual(list(self.wire.ports), [("127.0.0.1", 7777)])

    def test_portClosedByOthers(self) -> None:
        """If other code closes the port, outstanding and later exchanges fail."""
        reply = self.client.echo(b"hello")
        self.wire.ports[self.portOf(self.client)].stopListening()
        self.failureResultOf(reply, ConnectionClosed)
        self.failureResultOf(self.client.echo(b"later"), ConnectionClosed)
        self.successResultOf(self.client.close())
        self.assertEqual(self.wire.getDelayedCalls(), [])

    def test_closeIdle(self) -> None:
        """close() with nothing outstanding finishes at once."""
        self.successResultOf(self.client.close())


class ConnectTests(SynchronousTestCase):
    def test_IPv6(self) -> None:
        """An IPv6 address is reached over IPv6."""
        wire = DatagramWire()
        wire.listenUDP(7777, EchoDatagramProtocol(wire), "::")
        client = self.successResultOf(connectEchoDatagram(wire, "::1", 7777))
        reply = client.echo(b"hello")
        wire.deliverAll()
        self.assertEqual(self.successResultOf(reply), b"hello")

    def test_name(self) -> None:
        """If the first address of a name refuses, the messages are sent to the next one."""
        wire = DatagramWire()
        wire.nameResolver = FakeResolver("192.0.2.1", "192.0.2.2")
        wire.listenUDP(7777, EchoDatagramProtocol(wire), "192.0.2.2")
        client = self.successResultOf(connectEchoDatagram(wire, "lab", 7777))
        replies = [client.echo(b"hello"), client.echo(b"again")]
        self.assertEqual(wire.pending[0].destination, ("192.0.2.1", 7777))
        wire.deliverAll()
        self.assertEqual([self.successResultOf(reply) for reply in replies], [b"hello", b"again"])

    def test_otherAddress(self) -> None:
        """Before the first reply, one from another address fails its exchange; other data none."""
        wire = DatagramWire()
        client = self.successResultOf(connectEchoDatagram(wire, "127.0.0.2", 7777))
        reply = client.echo(b"hello")
        here = wire.pending[0].source
        for data in (b"other", b"hello"):
            wire.pending[:] = [Datagram(("127.0.0.1", 7777), here, data)]
            wire.deliverAll()
        error = self.failureResultOf(reply, ConnectionClosed).value
        expected = "the reply is from 127.0.0.1 port 7777, not from 127.0.0.2 port 7777"
        self.assertEqual(str(error), expected)
        wire.listenUDP(7777, EchoDatagramProtocol(wire), "127.0.0.2")
        reply = client.echo(b"again")
        wire.deliverAll()
        self.assertEqual(self.successResultOf(reply), b"again")

    def test_noSuchName(self) -> None:
        """A name without addresses fails with an error that contains the name."""
        wire = DatagramWire()
        wire.nameResolver = FakeResolver()
        failure = self.failureResultOf(connectEchoDatagram(wire, "lab", 7777), DNSLookupError)
        self.assertIn("no such host: lab", str(failure.value))

    def test_noRoute(self) -> None:
        """An address without a route fails the connection and leaves no port open."""
        wire = Unreachable()
        connecting: Deferred[Any] = connectEchoDatagram(wire, "192.0.2.1", 7777)
        failure = self.failureResultOf(connecting, ConnectionClosed)
        self.assertEqual(str(failure.value), "no route to 192.0.2.1: Network is unreachable")
        self.assertEqual(wire.ports, {})
