from __future__ import annotations

from errno import EMFILE
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionDone
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import Failed, NoAnswer, Skipped
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content
from echoproto.protocols.echo import EchoFactory
from echoproto.protocols.greeting import SERVER_GREETING
from tests.conformance.fakeservers import TIMEOUT, FakeStreamServer, FaultyEcho, faultyServer


class ContentTests(SynchronousTestCase):
    def test_size(self) -> None:
        """Content has the requested size, is deterministic and begins unlike other sizes."""
        self.assertEqual(content(0), b"")
        self.assertEqual(len(content(40_019)), 40_019)
        self.assertEqual(content(1000), content(1000))
        self.assertNotEqual(content(1000)[:16], content(1001)[:16])


class CheckConnectionTests(SynchronousTestCase):
    def fails(
        self,
        server: FakeStreamServer,
        message: str,
        wait: str = "waitForEcho",
        kind: type[Failed] = Failed,
    ) -> None:
        async def exchange(tester: StreamTester) -> None:
            connection = await tester.open()
            connection.send(b"hello")
            connection.channel.loseWriteConnection()
            await getattr(connection, wait)()

        with self.assertRaisesRegex(Failed, f"^{message}$") as raised:
            server.run(exchange)
        self.assertIs(type(raised.exception), kind)

    def test_right(self) -> None:
        """waitForClose() returns after all bytes are echoed and the server has closed."""

        async def exchange(tester: StreamTester) -> int:
            connection = await tester.open()
            connection.send(b"hello")
            connection.send(b"again")
            missing = connection.outstanding
            connection.channel.loseWriteConnection()
            await connection.waitForClose()
            return missing - connection.outstanding

        self.assertEqual(FakeStreamServer().run(exchange), 10)

    def test_end(self) -> None:
        """waitForEnd() reads on, right data or wrong, until the server closes or time is over."""

        async def exchange(tester: StreamTester) -> bool:
            connection = await tester.open()
            connection.channel.pauseProducing()
            connection.channel.send(b"hello")
            return await connection.waitForEnd()

        class Closing(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data)
                self.transport.loseConnection()

        self.assertIs(faultyServer(FaultyEcho).run(exchange), False)
        self.assertIs(faultyServer(Closing).run(exchange), True)

    def test_wrong(self) -> None:
        """The first wrong byte is reported with its offset, and later bytes are not examined."""

        class Wrong(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:3])
                self.transport.write(b"?" + data[4:])
                self.transport.write(b"waitForData")

        self.fails(faultyServer(Wrong), "wrong byte at offset 3: sent 6c, received 3f")

    def test_greeting(self) -> None:
        """A greeting service is recognized by its first data."""

        class Greeting(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(SERVER_GREETING)

        self.fails(faultyServer(Greeting), ".*; this is a greeting service; try echoproto greet")

    def test_wrongBefore(self) -> None:
        """Unexpected data that arrives before a wait is reported by the wait."""
        connection = CheckConnection(Clock(), TIMEOUT)
        connection.replyReceived(b"?")
        connection.replyReceived(b"and more")
        for wait in (connection.waitForEcho, connection.waitForData):
            failure = self.failureResultOf(Deferred.fromCoroutine(wait()), Failed)
            self.assertEqual(str(failure.value), "received 1 byte more than was sent")

    def test_extraBytes(self) -> None:
        """Bytes that were never sent are reported, after an echo and after a FIN."""

        class Doubling(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data * 2)

        self.fails(faultyServer(Doubling), "received 5 bytes more than was sent")

        class Parting(FaultyEcho):
            def readConnectionLost(self) -> None:
                self.transport.write(b"bye")
                super().readConnectionLost()

        self.fails(faultyServer(Parting), "received 3 bytes more than was sent", "waitForClose")

    def test_closed(self) -> None:
        """A server that closes too early is reported with the number of missing bytes."""

        class Closing(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:2])
                self.transport.loseConnection()

        self.fails(
            faultyServer(Closing), "2 of 5 bytes returned, then the server closed the connection"
        )

    def test_reset(self) -> None:
        """A reset does not count as a normal close."""

        class Resetting(FaultyEcho):
            def readConnectionLost(self) -> None:
                self.transport.abortConnection()

        self.fails(
            faultyServer(Resetting),
            "all 5 bytes returned, then connection lost: .*",
            "waitForClose",
        )

    def test_silent(self) -> None:
        """A server that sends nothing causes a timeout."""

        class Silent(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                pass

            def readConnectionLost(self) -> None:
                pass

        message = "0 of 5 bytes returned, then nothing for 5 s"
        self.fails(faultyServer(Silent), message, kind=NoAnswer)

    def test_noFIN(self) -> None:
        """A server that does not close causes a timeout."""

        class Staying(FaultyEcho):
            def readConnectionLost(self) -> None:
                pass

        self.fails(
            faultyServer(Staying), "all 5 bytes returned, then nothing for 5 s", "waitForClose"
        )


class StreamTesterTests(SynchronousTestCase):
    def test_served(self) -> None:
        """expectAnswer() uses a new connection, which close() ends in order."""
        server = FakeStreamServer()
        server.run(StreamTester.expectAnswer)
        self.assertIsInstance(server.pairs[0].client.closed, ConnectionDone)

    def test_refused(self) -> None:
        """A refused connection raises NoAnswer with the reason."""

        def draining(clock: Clock) -> EchoFactory:
            factory = EchoFactory(clock)
            factory.drain()
            return factory

        with self.assertRaisesRegex(NoAnswer, "refused: nothing listens there"):
            FakeStreamServer(draining).run(StreamTester.open)

    def neverAccepting(self) -> FakeStreamServer:
        """Make a server that never accepts; cancelling fails as Twisted's endpoints do."""
        server = FakeStreamServer()
        endpoint: Any = server.endpoint
        self.connecting: Deferred[Any] = Deferred(
            lambda it: it.errback(ConnectingCancelledError(None))
        )
        endpoint.connect = lambda factory: self.connecting
        return server

    def test_neverAccepting(self) -> None:
        """A connection attempt that never completes times out."""
        with self.assertRaisesRegex(NoAnswer, "no connection in 5 s"):
            self.neverAccepting().run(StreamTester.open)

    def test_fileLimit(self) -> None:
        """If this process has too many open files, the check is skipped: no fault of the server."""
        server = self.neverAccepting()
        self.connecting.errback(ConnectError(EMFILE))
        with self.assertRaisesRegex(Skipped, "ulimit -n"):
            server.run(StreamTester.open)

    def test_cancelled(self) -> None:
        """Connecting and waiting can be cancelled."""
        opening = Deferred.fromCoroutine(self.neverAccepting().tester.open())
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        connection = CheckConnection(Clock(), TIMEOUT)
        waiting = Deferred.fromCoroutine(connection.waitForData())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_pause(self) -> None:
        """pause() fires after the requested time and can time out."""
        server = FakeStreamServer()
        pausing = Deferred.fromCoroutine(server.tester.pause(2.0)).addTimeout(1.0, server.clock)
        server.clock.advance(1.0)
        self.failureResultOf(pausing, TimeoutError)
        pausing = Deferred.fromCoroutine(server.tester.pause(2.0))
        server.clock.advance(2.0)
        self.successResultOf(pausing)
