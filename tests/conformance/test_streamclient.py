from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import Failed, NoAnswer
from echoproto.conformance.streamclient import CheckConnection, StreamTester, content
from echoproto.protocols.echo import EchoFactory
from tests.conformance.lab import PATIENCE, Faulty, StreamLab, faulty


class ContentTests(SynchronousTestCase):
    def test_size(self) -> None:
        """It has as many bytes as it should, the same each time, and no two sizes begin alike."""
        self.assertEqual(content(0), b"")
        self.assertEqual(len(content(40_019)), 40_019)
        self.assertEqual(content(1000), content(1000))
        self.assertNotEqual(content(1000)[:16], content(1001)[:16])


class TalkTests(SynchronousTestCase):
    def fails(
        self, lab: StreamLab, says: str, wait: str = "all", kind: type[Failed] = Failed
    ) -> None:
        async def ask(asked: StreamTester) -> None:
            connection = await asked.open()
            connection.send(b"hello")
            connection.channel.loseWriteConnection()
            await getattr(connection, wait)()

        with self.assertRaisesRegex(Failed, f"^{says}$") as raised:
            lab.run(ask)
        self.assertIs(type(raised.exception), kind)

    def test_right(self) -> None:
        """All comes back, then the server's FIN."""

        async def ask(asked: StreamTester) -> int:
            connection = await asked.open()
            connection.send(b"hello")
            connection.send(b"again")
            due = connection.due
            connection.channel.loseWriteConnection()
            await connection.over()
            return due - connection.due

        self.assertEqual(StreamLab().run(ask), 10)

    def test_wrong(self) -> None:
        """The first wrong byte is told with its place, also where nobody waited yet; what follows is not looked at."""

        class Wrong(Faulty):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:3])
                self.transport.write(b"?" + data[4:])
                self.transport.write(b"more")

        self.fails(faulty(Wrong), "byte 3 was sent as 6c and came back as 3f")

    def test_wrongBefore(self) -> None:
        """What is wrong before it is waited for is not forgotten."""
        connection = CheckConnection(Clock(), PATIENCE)
        connection.replyReceived(b"?")
        connection.replyReceived(b"and more")
        for wait in (connection.all, connection.more):
            failure = self.failureResultOf(Deferred.fromCoroutine(wait()), Failed)
            self.assertEqual(str(failure.value), "1 bytes came that nobody had sent")

    def test_tooMany(self) -> None:
        """Bytes that nobody had sent are told, with those that are right and after them."""

        class Doubling(Faulty):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data * 2)

        self.fails(faulty(Doubling), "5 bytes came that nobody had sent")

        class Parting(Faulty):
            def readConnectionLost(self) -> None:
                self.transport.write(b"bye")
                super().readConnectionLost()

        self.fails(faulty(Parting), "3 bytes came that nobody had sent", "over")

    def test_closed(self) -> None:
        """A server that closes too early has lost bytes."""

        class Closing(Faulty):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data[:2])
                self.transport.loseConnection()

        self.fails(faulty(Closing), "2 of 5 bytes came back, then the server closed the connection")

    def test_reset(self) -> None:
        """An end by a reset is none in order."""

        class Resetting(Faulty):
            def readConnectionLost(self) -> None:
                self.transport.abortConnection()

        self.fails(faulty(Resetting), "all 5 bytes came back, then connection lost: .*", "over")

    def test_silent(self) -> None:
        """Who says nothing is not awaited for ever."""

        class Silent(Faulty):
            def dataReceived(self, data: bytes) -> None:
                pass

            def readConnectionLost(self) -> None:
                pass

        says = "0 of 5 bytes came back, then nothing for 5 s"
        self.fails(faulty(Silent), says, kind=NoAnswer)

    def test_noFIN(self) -> None:
        """Who does not close has no end."""

        class Staying(Faulty):
            def readConnectionLost(self) -> None:
                pass

        self.fails(faulty(Staying), "all 5 bytes came back, then nothing for 5 s", "over")


class StreamsTests(SynchronousTestCase):
    def test_served(self) -> None:
        """Whether anybody is served is asked on a connection of its own, which is cut with the others."""
        lab = StreamLab()
        lab.run(StreamTester.served)
        self.assertIsNotNone(lab.pairs[0].client.closed)

    def test_refused(self) -> None:
        """Without a connection it fails, and says why."""

        def draining(clock: Clock) -> EchoFactory:
            factory = EchoFactory(clock)
            factory.drain()
            return factory

        with self.assertRaisesRegex(NoAnswer, "refused: nothing listens there"):
            StreamLab(draining).run(StreamTester.open)

    def never(self) -> StreamLab:
        """A lab where no connection is ever made; the Deferred fails as Twisted's do when they are cancelled."""
        lab = StreamLab()
        endpoint: Any = lab.endpoint
        self.connecting: Deferred[Any] = Deferred(
            lambda it: it.errback(ConnectingCancelledError(None))
        )
        endpoint.connect = lambda factory: self.connecting
        return lab

    def test_never(self) -> None:
        """A connection that is never made is given up."""
        with self.assertRaisesRegex(NoAnswer, "no connection in 5 s"):
            self.never().run(StreamTester.open)

    def test_cancelled(self) -> None:
        """Connecting can be cancelled, and so can waiting."""
        opening = Deferred.fromCoroutine(self.never().asked.open())
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        connection = CheckConnection(Clock(), PATIENCE)
        waiting = Deferred.fromCoroutine(connection.more())
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_pause(self) -> None:
        """It waits as long as it is told to."""
        lab = StreamLab()
        pausing = Deferred.fromCoroutine(lab.asked.pause(2.0)).addTimeout(1.0, lab.clock)
        lab.clock.advance(1.0)
        self.failureResultOf(pausing, TimeoutError)
        pausing = Deferred.fromCoroutine(lab.asked.pause(2.0))
        lab.clock.advance(2.0)
        self.successResultOf(pausing)
