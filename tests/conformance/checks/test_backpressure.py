from __future__ import annotations

from typing import ClassVar

from twisted.internet.interfaces import ITransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks import backpressure as reading
from echoproto.conformance.checks.backpressure import neverReads, otherClients, slowReader
from echoproto.conformance.results import Failed, Skipped
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho, faultyServer


class Overflowing(FaultyEcho):
    """Drops bytes that exceed its queue."""

    def dataReceived(self, data: bytes) -> None:
        if len(self.transport.queue) < 100_000:
            self.transport.write(data)


class Trickling(FaultyEcho):
    """Continues to read, slowly, from a client that does not read."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        Trickling.waiting.append(self.transport)

    waiting: ClassVar[list[ITransport]] = []


class OneByOne(FaultyEcho):
    """Serves no other client while it has bytes queued for one."""

    busy: ClassVar[list[OneByOne]] = []

    def dataReceived(self, data: bytes) -> None:
        if not self.busy:
            self.busy.append(self)
        if self.busy == [self]:
            self.transport.write(data)


class Closing(FaultyEcho):
    """Resets clients that do not read."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.abortConnection()


class Discarding(FaultyEcho):
    """Closes after the first data, and discards all that follows."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)
        self.transport.loseWriteConnection()
        self.dataReceived = lambda data: None  # type: ignore[method-assign]


class BackpressureTests(SynchronousTestCase):
    def test_conforming(self) -> None:
        """The echo server passes all of these checks."""
        for check in (slowReader, otherClients):
            self.assertIsNone(FakeStreamServer().run(check))
        self.assertRegex(
            FakeStreamServer().run(neverReads), r"^stopped reading after [0-9.]+ [KM]iB$"
        )

    def test_slowReader(self) -> None:
        """A server that drops bytes for a slow reader fails."""
        with self.assertRaisesRegex(
            Failed, "^131072 of 4194304 bytes returned, then nothing for 5 s"
        ):
            faultyServer(Overflowing).run(slowReader)

    def test_neverReads(self) -> None:
        """A server with an unbounded queue fails once it has accepted 64 MiB."""
        server = faultyServer(FaultyEcho)
        with self.assertRaisesRegex(Failed, r"reads more than 64\.0 MiB from a client that"):
            server.run(neverReads)

    def test_closed(self) -> None:
        """A server that has closed, and reads on, has no queue: the check cannot tell."""
        server = faultyServer(Discarding)
        with self.assertRaisesRegex(Skipped, "^inconclusive: the server has closed the connection"):
            server.run(neverReads)

    def test_unclear(self) -> None:
        """A server that still reads at the end, but below the limit, is skipped."""
        self.addCleanup(Trickling.waiting.clear)
        server = faultyServer(Trickling)
        turn = server.turn

        def trickle() -> None:
            turn()
            while Trickling.waiting:
                server.clock.callLater(0.5, Trickling.waiting.pop().resumeProducing)  # type: ignore[attr-defined]

        server.turn = trickle  # type: ignore[method-assign]
        with self.assertRaisesRegex(Skipped, r"still reading after .* MiB in 40 s"):
            server.run(neverReads)

    def test_reset(self) -> None:
        """A server that resets such a client passes: its memory is bounded too."""
        self.assertRegex(faultyServer(Closing).run(neverReads), "stopped reading after")

    def test_otherClients(self) -> None:
        """A server that serves only one client at a time fails."""
        self.addCleanup(OneByOne.busy.clear)
        with self.assertRaisesRegex(Failed, "0 of 17 bytes returned, then nothing for 5 s"):
            faultyServer(OneByOne).run(otherClients)

    def test_bound(self) -> None:
        """The limit is larger than one write and smaller than the memory of any machine."""
        self.assertTrue(reading._PIECE_BYTES < reading.SLOW_BYTES < reading.MAX_ACCEPTED < 1 << 30)
