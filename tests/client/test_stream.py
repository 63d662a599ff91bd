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
    """A client, and a server that answers what the test says."""

    def setUp(self) -> None:
        self.clock = Clock()
        endpoint, pairs = endpointTo(Factory.forProtocol(RecordingProtocol))
        self.client: EchoClient = self.successResultOf(connectEcho(endpoint, self.clock))
        [self.pair] = pairs
        self.server: Any = self.pair.server.protocol

    def answer(self, data: bytes) -> None:
        self.server.link.write(data)
        self.pair.pump()

    def ask(self, data: bytes) -> Deferred[bytes]:
        asked = self.client.echo(data)
        self.pair.pump()
        return asked

    def nothingIsScheduled(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])


class EchoTests(ClientTestCase):
    def test_interfaces(self) -> None:
        """The client is half-closeable and a push producer, as it declares."""
        verifyObject(IHalfCloseableProtocol, self.client)
        verifyObject(IPushProducer, self.client)

    def test_fires(self) -> None:
        """An exchange fires with the message when its last byte is back, not before."""
        asked = self.ask(b"hello")
        self.answer(b"hell")
        self.assertNoResult(asked)
        self.answer(b"o")
        self.assertEqual(self.successResultOf(asked), b"hello")
        self.nothingIsScheduled()

    def test_pipelined(self) -> None:
        """Any number may be outstanding; each gets its own reply by its place."""
        asked = [self.ask(message) for message in (b"a", b"bb", b"a")]
        self.assertEqual(self.server.received, b"abba")
        self.answer(b"abba")
        self.assertEqual([self.successResultOf(each) for each in asked], [b"a", b"bb", b"a"])

    def test_empty(self) -> None:
        """A message of no bytes is answered at once."""
        self.assertEqual(self.successResultOf(self.client.echo(b"")), b"")

    def test_wrongByte(self) -> None:
        """A wrong byte fails its exchange with the place and both sides, and no other exchange."""
        first, second = self.ask(b"hello"), self.ask(b"world")
        self.answer(b"heLlo")
        error = self.failureResultOf(first, EchoMismatch).value
        self.assertEqual((error.offset, error.sent, error.received), (2, b"llo", b"Llo"))
        self.answer(b"world")
        self.assertEqual(self.successResultOf(second), b"world")

    def test_timeout(self) -> None:
        """An exchange fails when its time is over; its late echo is not taken for another's."""
        slow = self.client.echo(b"slow", timeout=1.0)
        other = self.client.echo(b"other")
        self.clock.advance(1.0)
        self.failureResultOf(slow, ExchangeTimeout)
        self.pair.pump()
        self.answer(b"slowother")
        self.assertEqual(self.successResultOf(other), b"other")

    def test_defaultTimeout(self) -> None:
        """Unless told otherwise an exchange may take 30 seconds."""
        asked = self.ask(b"x")
        self.clock.advance(STREAM_TIMEOUT - 1)
        self.assertNoResult(asked)
        self.clock.advance(1)
        self.failureResultOf(asked, ExchangeTimeout)

    def test_cancelled(self) -> None:
        """A cancelled exchange fails with its own error; its echo is not taken for another's."""
        cancelled, other = self.ask(b"cancelled"), self.ask(b"other")
        cancelled.cancel()
        self.failureResultOf(cancelled, ExchangeCancelled)
        self.answer(b"cancelledother")
        self.assertEqual(self.successResultOf(other), b"other")

    def test_cancelledBeforeItIsSent(self) -> None:
        """What is cancelled before its first byte is written is not sent at all."""
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
        """Of a large message no more is queued than the queue holds and one piece."""
        self.pair.server.pauseProducing()
        self.client.echo(b"x" * 10_000_000).addErrback(lambda _: None)
        self.assertLessEqual(len(self.pair.client.queue), 65_536 + WRITE_SIZE)

    def test_lostConnection(self) -> None:
        """When the connection is lost what is outstanding fails, and what is asked later too."""
        first, second = self.ask(b"first"), self.ask(b"second")
        self.server.link.abortConnection()
        self.pair.pump()
        self.failureResultOf(first, ConnectionClosed)
        self.failureResultOf(second, ConnectionClosed)
        self.failureResultOf(self.client.echo(b"later"), ConnectionClosed)
        self.failureResultOf(self.client.close(), ConnectionClosed)
        self.nothingIsScheduled()

    def test_serverClosesEarly(self) -> None:
        """The server's FIN before the last reply fails what is outstanding."""
        asked = self.ask(b"hello")
        self.server.link.write(b"hel")
        self.server.link.loseWriteConnection()
        self.pair.pump()
        failure = self.failureResultOf(asked, ConnectionClosed)
        self.assertIn("before the last reply", str(failure.value))

    def test_serverClosesIdle(self) -> None:
        """The server's FIN while nothing is outstanding ends the connection in order."""
        self.server.link.loseWriteConnection()
        self.pair.pump()
        self.assertEqual(self.server.events[-2:], ["writeLost", "readLost"])
        self.failureResultOf(self.client.echo(b"later"), ConnectionClosed)

    def test_cancelledByASibling(self) -> None:
        """When the connection is lost, a Deferred that fails may cancel another."""
        self.pair.server.pauseProducing()
        large, small = self.client.echo(b"x" * 200_000), self.client.echo(b"small")
        large.addErrback(lambda _: small.cancel())
        self.server.link.abortConnection()
        self.pair.pump()
        self.successResultOf(large)
        self.failureResultOf(small, ExchangeCancelled)

    def test_onlyBytes(self) -> None:
        """Anything but bytes is a TypeError, and nothing is sent."""
        self.assertRaises(TypeError, self.client.echo, "text")
        self.pair.pump()
        self.assertEqual(self.server.received, b"")

    def test_replyTooMany(self) -> None:
        """Bytes that nobody asked for end the connection; what is asked later fails with them."""
        asked = self.ask(b"hello")
        self.answer(b"hello, again")
        self.assertEqual(self.successResultOf(asked), b"hello")
        failure = self.failureResultOf(self.client.echo(b"later"), UnexpectedReply)
        self.assertEqual(failure.value.received, b", again")
        self.failureResultOf(self.client.close(), UnexpectedReply)
        self.assertEqual(self.server.events[-1], "lost")

    def test_askedFromACallback(self) -> None:
        """What is asked when a reply comes is not answered by what had come with that reply."""
        later: list[Deferred[bytes]] = []
        self.ask(b"a").addCallback(lambda _: later.append(self.client.echo(b"b")))
        self.answer(b"ab")
        self.failureResultOf(later[0], UnexpectedReply)

    def test_stopProducing(self) -> None:
        """A transport that is gone may say so before connectionLost: nothing more to do."""
        self.client.stopProducing()
        self.assertEqual(self.server.events, ["made"])


class CloseTests(ClientTestCase):
    def test_waits(self) -> None:
        """
        close() sends our FIN after all that was asked, and waits for the replies and the server's
        FIN.
        """
        asked = self.client.echo(b"x" * 100_000)
        closed = self.client.close()
        self.pair.pump()
        self.assertEqual(self.server.events, ["made", "data", "readLost"])
        self.assertNoResult(closed)
        self.answer(b"x" * 100_000)
        self.successResultOf(asked)
        self.assertNoResult(closed)
        self.server.link.loseWriteConnection()
        self.pair.pump()
        self.assertIsNone(self.successResultOf(closed))
        self.nothingIsScheduled()

    def test_againstOurServer(self) -> None:
        """Against our echo service all comes back and both ends close in order."""
        endpoint, pairs = endpointTo(EchoFactory(self.clock))
        client = self.successResultOf(connectEcho(endpoint, self.clock))
        asked = client.echo(b"hello")
        closed = client.close()
        pairs[0].pump()
        self.assertEqual(self.successResultOf(asked), b"hello")
        self.successResultOf(closed)
        self.nothingIsScheduled()

    def test_afterwards(self) -> None:
        """After close() nothing can be asked, nor closed again."""
        closed = self.client.close()
        self.failureResultOf(self.client.echo(b"x"), Closed)
        self.failureResultOf(self.client.close(), Closed)
        self.server.link.loseConnection()
        self.pair.pump()
        self.successResultOf(closed)

    def test_repliesMissing(self) -> None:
        """Where the server closes before the last reply, close() fails as that exchange does."""
        asked = self.ask(b"hello")
        closed = self.client.close()
        self.server.link.loseConnection()
        self.pair.pump()
        self.failureResultOf(asked, ConnectionClosed)
        self.failureResultOf(closed, ConnectionClosed)

    def test_replyTooMany(self) -> None:
        """Bytes that nobody asked for fail close()."""
        closed = self.client.close()
        self.answer(b"surprise")
        self.failureResultOf(closed, UnexpectedReply)

    def test_reset(self) -> None:
        """A reset in place of the server's FIN fails close()."""
        closed = self.client.close()
        self.pair.pump()
        self.server.link.abortConnection()
        self.pair.pump()
        self.failureResultOf(closed, ConnectionClosed)

    def test_timeout(self) -> None:
        """A server that does not close in time is cut off, and close() fails."""
        closed = self.client.close(timeout=3.0)
        self.pair.pump()
        self.clock.advance(3.0)
        self.pair.pump()
        failure = self.failureResultOf(closed, ExchangeTimeout)
        self.assertEqual(str(failure.value), "the server did not close within 3 s")
        self.assertEqual(self.server.events[-1], "lost")

    def test_cancelled(self) -> None:
        """A cancelled close() cuts the connection and fails what is outstanding."""
        asked = self.ask(b"hello")
        closed = self.client.close()
        closed.cancel()
        self.pair.pump()
        self.failureResultOf(closed, ExchangeCancelled)
        self.failureResultOf(asked, ExchangeCancelled)
        self.nothingIsScheduled()

    def test_tls(self) -> None:
        """Over TLS, which has no half-close, the replies are awaited before the close begins."""
        # As Twisted's TLS: a class without the method, whatever the transport beneath it has.
        cast(Any, self.client).transport = Wrapping(self.pair.client)
        asked = self.ask(b"hello")
        closed = self.client.close()
        self.pair.pump()
        self.assertNotIn("readLost", self.server.events)
        self.answer(b"hello")
        self.successResultOf(asked)
        self.successResultOf(closed)


class Wrapping:
    """Lends all that the transport beneath it has."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class ConnectTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """A connection that cannot be made fails with Twisted's error."""
        factory = EchoFactory(Clock())
        factory.drain()
        endpoint, _ = endpointTo(factory)
        self.failureResultOf(connectEcho(endpoint, Clock()), ConnectionRefusedError)

    def test_awaitable(self) -> None:
        """All of it can be awaited."""
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
