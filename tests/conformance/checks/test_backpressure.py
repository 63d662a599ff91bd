from __future__ import annotations

from typing import ClassVar

from twisted.internet.interfaces import ITransport
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks import backpressure as reading
from echoproto.conformance.checks.backpressure import neverReads, otherClients, slowReader
from echoproto.conformance.results import Failed, Skipped
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho, faultyServer


class Overflowing(FaultyEcho):
    """Drops what its queue has no room for."""

    def dataReceived(self, data: bytes) -> None:
        if len(self.transport.queue) < 100_000:
            self.transport.write(data)


class Trickling(FaultyEcho):
    """Reads on from who does not read, but slowly."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        Trickling.waiting.append(self.transport)

    waiting: ClassVar[list[ITransport]] = []


class OneByOne(FaultyEcho):
    """Serves nobody else while it has bytes for somebody."""

    busy: ClassVar[list[OneByOne]] = []

    def dataReceived(self, data: bytes) -> None:
        if not self.busy:
            self.busy.append(self)
        if self.busy == [self]:
            self.transport.write(data)


class Closing(FaultyEcho):
    """Resets who does not read."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.abortConnection()


class ReadingTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo passes them all."""
        for check in (slowReader, otherClients):
            self.assertEqual(FakeStreamServer().run(check), "")
        self.assertRegex(
            FakeStreamServer().run(neverReads), r"^stopped reading after [0-9.]+ [KM]iB$"
        )

    def test_slowReader(self) -> None:
        """A server that drops what a slow client has no room for is found."""
        with self.assertRaisesRegex(
            Failed, "^131072 of 4194304 bytes returned, then nothing for 5 s"
        ):
            faultyServer(Overflowing).run(slowReader)

    def test_neverReads(self) -> None:
        """A server whose queue has no bound is found, after a bound of ours."""
        lab = faultyServer(FaultyEcho)
        with self.assertRaisesRegex(Failed, r"reads more than 64\.0 MiB from a client that"):
            lab.run(neverReads)

    def test_unclear(self) -> None:
        """
        Of a server that goes on taking, but not so much that it has no bound, nothing is said.
        """
        self.addCleanup(Trickling.waiting.clear)
        lab = faultyServer(Trickling)
        turn = lab.turn

        def trickle() -> None:
            turn()
            while Trickling.waiting:
                lab.clock.callLater(0.5, Trickling.waiting.pop().resumeProducing)  # type: ignore[attr-defined]

        lab.turn = trickle  # type: ignore[method-assign]
        with self.assertRaisesRegex(Skipped, r"still reading after .* MiB in 40 s"):
            lab.run(neverReads)

    def test_reset(self) -> None:
        """A server that resets such a client has a bound, too."""
        self.assertRegex(faultyServer(Closing).run(neverReads), "stopped reading after")

    def test_others(self) -> None:
        """A server that has eyes for one client only is found."""
        self.addCleanup(OneByOne.busy.clear)
        with self.assertRaisesRegex(Failed, "0 of 17 bytes returned, then nothing for 5 s"):
            faultyServer(OneByOne).run(otherClients)

    def test_bound(self) -> None:
        """What is sent is more than one piece, and less than the memory of any machine."""
        self.assertTrue(reading._PIECE_BYTES < reading.SLOW_BYTES < reading.MAX_ACCEPTED < 1 << 30)
