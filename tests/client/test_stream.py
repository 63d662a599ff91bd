from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.stream import STREAM_TIMEOUT, WRITE_SIZE, EchoClient, connectEcho
from echoproto.errors import (
    Closed,
    ConnectionClosed,
    EchoMismatch,
    ExchangeCancelled,
    ExchangeTimeout,
    UnexpectedReply,
)
from echoproto.protocols.echo import EchoFactory
from echoproto.testing import RecordingProtocol, endpointTo


class ClientTestCase(SynchronousTestCase):
    """A client, and a server that sends only the replies the test writes."""

    def setUp(self) -> None:
        self.clock = Clock()
        endpoint, pairs = endpointTo(Factory.forProtocol(RecordingProtocol))
        self.client: EchoClient = self.successResultOf(connectEcho(endpoint, self.clock))
        [self.pair] = pairs
        self.server: Any = self.pair.server.protocol

    def answer(self, data: bytes) -> None:
        self.server.link.write(data)
        self.pair.pump()

    def echo(self, data: bytes) -> Deferred[bytes]:
        reply = self.client.echo(data)
        self.pair.pump()
        return reply

    def assertNothingScheduled(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EchoTests(ClientTestCase):
    def test_interfaces(self) -> None:
        """The client provides IHalfCloseableProtocol and IPushProducer."""
        verifyObject(IHalfCloseableProtocol, self.client)
        verifyObject(IPushProducer, self.client)

    def test_fires(self) -> None:
        """An exchange fires with its message when the last byte is echoed, not before."""
        reply = self.echo(b"hello")
        self.answer(b"hell")
        self.assertNoResult(reply)
        self.answer(b"o")
        self.assertEqual(self.successResultOf(reply), b"hello")
        self.assertNothingScheduled()

    def test_pipelined(self) -> None:
        """Pipelined exchanges get their own replies, in order."""
        replies = [self.echo(message) for message in (b"a", b"bb", b"a")]
        self.assertEqual(self.server.received, b"abba")
        self.answer(b"abba")
        self.assertEqual([self.successResultOf(reply) for reply in replies], [b"a", b"bb", b"a"])

    def test_empty(self) -> None:
        """An empty message fires at once."""
        self.assertEqual(self.successResultOf(self.client.echo(b"")), b"")

    def test_wrongByte(self) -> None:
        """A wrong byte fails its own exchange, with the offset and both sides, and no other."""
        first, second = self.echo(b"hello"), self.echo(b"world")
        self.answer(b"heLlo")
        error = self.failureResultOf(first, EchoMismatch).value
        self.assertEqual((error.offset, error.sent, error.received), (2, b"llo", b"Llo"))
        self.answer(b"world")
        self.assertEqual(self.successResultOf(second), b"world")

    def test_timeout(self) -> None:
        """After a timeout, the late echo is not matched to another exchange."""
        slow = self.client.echo(b"slow", timeout=1.0)
        other = self.client.echo(b"other")
        self.clock.advance(1.0)
        self.failureResultOf(slow, ExchangeTimeout)
        self.pair.pump()
        self.answer(b"slowother")
        self.assertEqual(self.successResultOf(other), b"other")

    def test_defaultTimeout(self) -> None:
        """The default timeout of an exchange is 30 seconds."""
        reply = self.echo(b"x")
        self.clock.advance(STREAM_TIMEOUT - 1)
        self.assertNoResult(reply)
        self.clock.advance(1)
        self.failureResultOf(reply, ExchangeTimeout)

    def test_cancelled(self) -> None:
        """A cancelled exchange fails, and its echo is not matched to another exchange."""
        cancelled, other = self.echo(b"cancelled"), self.echo(b"other")
        cancelled.cancel()
        self.failureResultOf(cancelled, ExchangeCancelled)
        self.answer(b"cancelledother")
        self.assertEqual(self.successResultOf(other), b"other")

    def test_cancelledBeforeItIsSent(self) -> None:
        """A message cancelled before its first byte was written is not sent."""
        self.pair.server.pauseProducing()
        large = self.client.echo(b"x" * 200_000)
        cancelled = self.client.echo(b"never sent")
        cancelled.cancel()
        self.failureResultOf(cancelled, ExchangeCancelled)
        self.pair.server.resumeProducing()
        self.pair.pump()
        self.assertEqual(self.server.received, b"x" * 200_000)
        self.answer(self.server.received)
        self.successResultOf(large)

    def test_boundedMemory(self) -> None:
        """A large message is queued piece by piece, up to the queue limit plus one piece."""
        self.pair.server.pauseProducing()
        self.client.echo(b"x" * 10_000_000).addErrback(lambda _: None)
        self.assertLessEqual(len(self.pair.client.queue), 65_536 + WRITE_SIZE)

    def test_lostConnection(self) -> None:
        """When the connection is lost, outstanding and later exchanges fail."""
        first, second = self.echo(b"first"), self.echo(b"second")
        self.server.link.abortConnection()
        self.pair.pump()
        self.failureResultOf(first, ConnectionClosed)
        self.failureResultOf(second, ConnectionClosed)
        self.failureResultOf(self.client.echo(b"later"), ConnectionClosed)
        self.failureResultOf(self.client.close(), ConnectionClosed)
        self.assertNothingScheduled()

    def test_serverClosesEarly(self) -> None:
        """A FIN from the server before the last reply fails outstanding exchanges."""
        reply = self.echo(b"hello")
        self.server.link.write(b"hel")
        self.server.link.loseWriteConnection()
        self.pair.pump()
        failure = self.failureResultOf(reply, ConnectionClosed)
        self.assertIn("before the last reply", str(failure.value))

    def test_serverClosesIdle(self) -> None:
        """A FIN from the server while nothing is outstanding closes the connection normally."""
        self.server.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.server.events[-2:], ["writeLost", "readLost"])
        self.failureResultOf(self.client.echo(b"later"), ConnectionClosed)

    def test_cancelledByASibling(self) -> None:
        """When the connection is lost, the errback of one exchange may cancel another exchange."""
        self.pair.server.pauseProducing()
        large, small = self.client.echo(b"x" * 200_000), self.client.echo(b"small")
        large.addErrback(lambda _: small.cancel())
        self.server.link.abortConnection()
        self.pair.pump()
        self.successResultOf(large)
        self.failureResultOf(small, ExchangeCancelled)

    def test_onlyBytes(self) -> None:
        """A message of another type than bytes raises a TypeError, and nothing is sent."""
        self.assertRaises(TypeError, self.client.echo, "text")
        self.pair.pump()
        self.assertEqual(self.server.received, b"")

    def test_unexpectedReply(self) -> None:
        """Unexpected bytes end the connection, and later exchanges fail because of them."""
        reply = self.echo(b"hello")
        self.answer(b"hello, again")
        self.assertEqual(self.successResultOf(reply), b"hello")
        failure = self.failureResultOf(self.client.echo(b"later"), UnexpectedReply)
        self.assertEqual(failure.value.received, b", again")
        self.failureResultOf(self.client.close(), UnexpectedReply)
        self.assertEqual(self.server.events[-1], "lost")

    def test_echoFromACallback(self) -> None:
        """A message sent from a callback is not matched to bytes that were already received."""
        later: list[Deferred[bytes]] = []
        self.echo(b"a").addCallback(lambda _: later.append(self.client.echo(b"b")))
        self.answer(b"ab")
        self.failureResultOf(later[0], UnexpectedReply)

    def test_stopProducing(self) -> None:
        """A transport that disappears may call stopProducing before connectionLost."""
        self.client.stopProducing()
        self.assertEqual(self.server.events, ["made"])


class CloseTests(ClientTestCase):
    def test_waits(self) -> None:
        """close() sends a FIN after all messages and waits for the server to do the same."""
        reply = self.client.echo(b"x" * 100_000)
        closed = self.client.close()
        self.pair.pump()
        self.assertEqual(self.server.events, ["made", "data", "readLost"])
        self.assertNoResult(closed)
        self.answer(b"x" * 100_000)
        self.successResultOf(reply)
        self.assertNoResult(closed)
        self.server.link.loseWriteConnection()
        self.pair.pump()
        self.assertIsNone(self.successResultOf(closed))
        self.assertNothingScheduled()

    def test_againstOurServer(self) -> None:
        """Connected to EchoFactory, all replies arrive and both ends close normally."""
        endpoint, pairs = endpointTo(EchoFactory(self.clock))
        client = self.successResultOf(connectEcho(endpoint, self.clock))
        reply = client.echo(b"hello")
        closed = client.close()
        pairs[0].pump()
        self.assertEqual(self.successResultOf(reply), b"hello")
        self.successResultOf(closed)
        self.assertNothingScheduled()

    def test_afterwards(self) -> None:
        """After close(), echo() and another close() fail."""
        closed = self.client.close()
        self.failureResultOf(self.client.echo(b"x"), Closed)
        self.failureResultOf(self.client.close(), Closed)
        self.server.link.loseConnection()
        self.pair.pump()
        self.successResultOf(closed)

    def test_repliesMissing(self) -> None:
        """If the server closes before the last reply, close() fails like that exchange."""
        reply = self.echo(b"hello")
        closed = self.client.close()
        self.server.link.loseConnection()
        self.pair.pump()
        self.failureResultOf(reply, ConnectionClosed)
        self.failureResultOf(closed, ConnectionClosed)

    def test_unexpectedReply(self) -> None:
        """Unexpected bytes make close() fail."""
        closed = self.client.close()
        self.answer(b"surprise")
        self.failureResultOf(closed, UnexpectedReply)

    def test_reset(self) -> None:
        """A reset instead of the server's FIN makes close() fail."""
        closed = self.client.close()
        self.pair.pump()
        self.server.link.abortConnection()
        self.pair.pump()
        self.failureResultOf(closed, ConnectionClosed)

    def test_timeout(self) -> None:
        """If the server does not close in time, the connection is aborted and close() fails."""
        closed = self.client.close(timeout=3.0)
        self.pair.pump()
        self.clock.advance(3.0)
        self.pair.pump()
        failure = self.failureResultOf(closed, ExchangeTimeout)
        self.assertEqual(str(failure.value), "the server did not close within 3 s")
        self.assertEqual(self.server.events[-1], "lost")

    def test_cancelled(self) -> None:
        """A cancelled close() aborts the connection and fails outstanding exchanges."""
        reply = self.echo(b"hello")
        closed = self.client.close()
        closed.cancel()
        self.pair.pump()
        self.failureResultOf(closed, ExchangeCancelled)
        self.failureResultOf(reply, ExchangeCancelled)
        self.assertNothingScheduled()

    def test_tls(self) -> None:
        """TLS has no half-close: the replies are awaited before the close begins."""
        # Like Twisted's TLS: the class has no such method, even if the wrapped transport has one.
        cast(Any, self.client).transport = Wrapping(self.pair.client)
        reply = self.echo(b"hello")
        closed = self.client.close()
        self.pair.pump()
        self.assertNotIn("readLost", self.server.events)
        self.answer(b"hello")
        self.successResultOf(reply)
        self.successResultOf(closed)


class Wrapping:
    """Delegates all attributes to the wrapped transport."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class ConnectTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """A failed connection attempt fails with Twisted's error."""
        factory = EchoFactory(Clock())
        factory.drain()
        endpoint, _ = endpointTo(factory)
        self.failureResultOf(connectEcho(endpoint, Clock()), ConnectionRefusedError)

    def test_awaitable(self) -> None:
        """connectEcho(), echo() and close() can be awaited."""
        clock = Clock()
        endpoint, pairs = endpointTo(EchoFactory(clock))

        async def exchange() -> bytes:
            client = await connectEcho(endpoint, clock)
            reply = await client.echo(b"hello")
            await client.close()
            return reply

        result = Deferred.fromCoroutine(exchange())
        pairs[0].pump()
        self.assertEqual(self.successResultOf(result), b"hello")
