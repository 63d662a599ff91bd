from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.checks.closing import connectionReset, halfClose, lateReader
from echoproto.conformance.results import Failed, Skipped
from echoproto.targets.stream import StreamChannel
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho, faultyServer


class Impatient(FaultyEcho):
    """Cuts a connection that is not over a second after the client's FIN."""

    clock: Clock

    def readConnectionLost(self) -> None:
        self.clock.callLater(1.0, self.transport.abortConnection)
        super().readConnectionLost()


class Losing(FaultyEcho):
    """
    Answers a little later, and closes at the client's FIN with what it has not sent, as Twisted's
    stock echo.
    """

    clock: Clock

    def dataReceived(self, data: bytes) -> None:
        self.clock.callLater(0.05, self.transport.write, data)


def clocked(protocol: Any) -> Callable[[Clock], Any]:
    """A factory of servers that have the clock."""

    def make(clock: Clock) -> Any:
        protocol.clock = clock
        return Factory.forProtocol(protocol)

    return make


class Offended(FaultyEcho):
    """Answers nobody any more once somebody has reset his connection."""

    offended = False

    def dataReceived(self, data: bytes) -> None:
        if not Offended.offended:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not reason.check(ConnectionDone):
            Offended.offended = True


class EndingTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Our echo passes them all."""
        for check in (halfClose, lateReader, connectionReset):
            self.assertEqual(FakeStreamServer().run(check), "")

    def test_halfClose(self) -> None:
        """
        A server that closes at the client's FIN, with what it has not sent, is found; the sizes are
        told.
        """
        with self.assertRaisesRegex(
            Failed,
            "^1 bytes: 0 of 1 bytes returned, then the server closed the connection; "
            "also 1000, 40019, 65536, 2097152 bytes$",
        ):
            FakeStreamServer(clocked(Losing)).run(halfClose)

    def test_lateReader(self) -> None:
        """A server that gives its client no time after the FIN has lost bytes."""
        with self.assertRaisesRegex(Failed, "bytes returned, then connection lost"):
            FakeStreamServer(clocked(Impatient)).run(lateReader)

    def test_noHalfClose(self) -> None:
        """Where we cannot half-close it is not tester."""
        for check in (halfClose, lateReader):
            with (
                mock.patch.object(StreamChannel, "loseWriteConnection", return_value=False),
                self.assertRaisesRegex(Skipped, "TLS clients cannot half-close"),
            ):
                FakeStreamServer().run(check)

    def test_reset(self) -> None:
        """A server that takes a reset amiss is found."""
        self.addCleanup(setattr, Offended, "offended", False)
        with self.assertRaisesRegex(Failed, "0 of 20 bytes returned"):
            faultyServer(Offended).run(connectionReset)
