from __future__ import annotations

from errno import EMFILE
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import Failed, NoAnswer, Skipped
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content
from echoproto.protocols.echo import EchoFactory
from tests.conformance.fakeservers import TIMEOUT, FakeStreamServer, FaultyEcho, faultyServer


class ContentTests(SynchronousTestCase):
    def test_size(self) -> None:
        """It has as many bytes as it should, the same each time, and no two sizes begin alike."""
        self.assertEqual(content(0), b"")
        self.assertEqual(len(content(40_019)), 40_019)
        self.assertEqual(content(1000), content(1000))
        self.assertNotEqual(content(1000)[:16], content(1001)[:16])


class TalkTests(SynchronousTestCase):
    def fails(
        self,
        lab: FakeStreamServer,
        says: str,
        wait: str = "waitForEcho",
        kind: type[Failed] = Failed,
    ) -> None:
        async def ask(tester: StreamTester) -> None:
            connection = await tester.open()
            connection.send(b"hello")
            connection.channel.loseWriteConnection()
            await getattr(connection, wait)()

        with self.assertRaisesRegex(Failed, f"^{says}$") as raised:
            lab.run(ask)
        self.assertIs(type(raised.exception), kind)

    def test_right(self) -> None:
        """All comes back, then the server's FIN."""

        async def ask(tester: StreamTester) -> int:
            connection = await tester.open()
            connection.send(b"hello")
            connection.send(b"again")
            due = connection.outstanding
            connection.channel.loseWriteConnection()
            await connection.waitForClose()
            return due - connection.outstanding

        self.assertEqual(FakeStreamServer().run(ask), 10)

    def test_wrong(self) -> None:
        """
        The first wrong byte is told with its place, also where nobody waited yet; what follows is
        not looked at.
        """

        class Wrong(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:3])
                self.transport.write(b"?" + data[4:])
                self.transport.write(b"waitForData")

        self.fails(faultyServer(Wrong), "wrong byte at offset 3: sent 6c, received 3f")

    def test_wrongBefore(self) -> None:
        """What is wrong before it is waited for is not forgotten."""
        connection = CheckConnection(Clock(), TIMEOUT)
        connection.replyReceived(b"?")
        connection.replyReceived(b"and more")
        for wait in (connection.waitForEcho, connection.waitForData):
            failure = self.failureResultOf(Deferred.fromCoroutine(wait()), Failed)
            self.assertEqual(str(failure.value), "received 1 bytes more than were sent")

    def test_tooMany(self) -> None:
        """Bytes that nobody had sent are told, with those that are right and after them."""

        class Doubling(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data * 2)

        self.fails(faultyServer(Doubling), "received 5 bytes more than were sent")

        class Parting(FaultyEcho):
            def readConnectionLost(self) -> None:
                self.transport.write(b"bye")
                super().readConnectionLost()

        self.fails(faultyServer(Parting), "received 3 bytes more than were sent", "waitForClose")

    def test_closed(self) -> None:
        """A server that closes too early has lost bytes."""

        class Closing(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:2])
                self.transport.loseConnection()

        self.fails(
            faultyServer(Closing), "2 of 5 bytes returned, then the server closed the connection"
        )

    def test_reset(self) -> None:
        """An end by a reset is none in order."""

        class Resetting(FaultyEcho):
            def readConnectionLost(self) -> None:
                self.transport.abortConnection()

        self.fails(
            faultyServer(Resetting),
            "all 5 bytes returned, then connection lost: .*",
            "waitForClose",
        )

    def test_silent(self) -> None:
        """Who says nothing is not awaited for ever."""

        class Silent(FaultyEcho):
            def dataReceived(self, data: bytes) -> None:
                pass

            def readConnectionLost(self) -> None:
                pass

        says = "0 of 5 bytes returned, then nothing for 5 s"
        self.fails(faultyServer(Silent), says, kind=NoAnswer)

    def test_noFIN(self) -> None:
        """Who does not close has no end."""

        class Staying(FaultyEcho):
            def readConnectionLost(self) -> None:
                pass

        self.fails(
            faultyServer(Staying), "all 5 bytes returned, then nothing for 5 s", "waitForClose"
        )


class StreamsTests(SynchronousTestCase):
    def test_served(self) -> None:
        """
        Whether anybody is served is tester on a connection of its own, which is cut with the
        others.
        """
        lab = FakeStreamServer()
        lab.run(StreamTester.expectAnswer)
        self.assertIsNotNone(lab.pairs[0].client.closed)

    def test_refused(self) -> None:
        """Without a connection it fails, and says why."""

        def draining(clock: Clock) -> EchoFactory:
            factory = EchoFactory(clock)
            factory.drain()
            return factory

        with self.assertRaisesRegex(NoAnswer, "refused: nothing listens there"):
            FakeStreamServer(draining).run(StreamTester.open)

    def never(self) -> FakeStreamServer:
        """
        A lab where no connection is ever made; the Deferred fails as Twisted's do when they are
        cancelled.
        """
        lab = FakeStreamServer()
        endpoint: Any = lab.endpoint
        self.connecting: Deferred[Any] = Deferred(
            lambda it: it.errback(ConnectingCancelledError(None))
        )
        endpoint.connect = lambda factory: self.connecting
        return lab

    def test_never(self) -> None:
        """A connection that is never made is given up."""
        with self.assertRaisesRegex(NoAnswer, "no connection within 5 s"):
            self.never().run(StreamTester.open)

    def test_fileLimit(self) -> None:
        """
        A check is skipped if this program may open no more files: that is not the server's fault.
        """
        server = self.never()
        self.connecting.errback(ConnectError(EMFILE))
        with self.assertRaisesRegex(Skipped, "ulimit -n"):
            server.run(StreamTester.open)

    def test_cancelled(self) -> None:
        """Connecting can be cancelled, and so can waiting."""
        opening = Deferred.fromCoroutine(self.never().tester.open())
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        connection = CheckConnection(Clock(), TIMEOUT)
        waiting = Deferred.fromCoroutine(connection.waitForData())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_pause(self) -> None:
        """It waits as long as it is told to."""
        lab = FakeStreamServer()
        pausing = Deferred.fromCoroutine(lab.tester.pause(2.0)).addTimeout(1.0, lab.clock)
        lab.clock.advance(1.0)
        self.failureResultOf(pausing, TimeoutError)
        pausing = Deferred.fromCoroutine(lab.tester.pause(2.0))
        lab.clock.advance(2.0)
        self.successResultOf(pausing)
