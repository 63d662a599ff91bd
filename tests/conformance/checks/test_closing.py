from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.stream import StreamChannel
from echoproto.conformance.checks.closing import connectionReset, halfClose, lateReader
from echoproto.conformance.results import Failed, Skipped
from tests.conformance.fakeservers import FakeStreamServer, FaultyEcho, faultyServer


class Impatient(FaultyEcho):
    """Aborts a connection one second after the client's FIN."""

    clock: Clock

    def readConnectionLost(self) -> None:
        self.clock.callLater(1.0, self.transport.abortConnection)
        super().readConnectionLost()


class Losing(FaultyEcho):
    """Replies after a delay, and at the client's FIN closes without sending pending data."""

    clock: Clock

    def dataReceived(self, data: bytes) -> None:
        self.clock.callLater(0.05, self.transport.write, data)


def clocked(protocol: Any) -> Callable[[Clock], Any]:
    """Return a function that makes a factory whose protocols know the clock."""

    def make(clock: Clock) -> Any:
        protocol.clock = clock
        return Factory.forProtocol(protocol)

    return make


class Offended(FaultyEcho):
    """Stops answering all clients after one of them resets its connection."""

    offended = False

    def dataReceived(self, data: bytes) -> None:
        if not Offended.offended:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not reason.check(ConnectionDone):
            Offended.offended = True


class ClosingTests(SynchronousTestCase):
    def test_conforming(self) -> None:
        """The echo server passes all of these checks."""
        for check in (halfClose, lateReader, connectionReset):
            self.assertIsNone(FakeStreamServer().run(check))

    def test_halfClose(self) -> None:
        """A server that loses pending data at the client's FIN fails; the sizes are listed."""
        with self.assertRaisesRegex(
            Failed,
            "^1 byte: 0 of 1 byte returned, then the server closed the connection; .*"
            "also 1000, 40019, 65536, 2097152 bytes$",
        ):
            FakeStreamServer(clocked(Losing)).run(halfClose)

    def test_lateReader(self) -> None:
        """A server that aborts the connection soon after the client's FIN fails."""
        with self.assertRaisesRegex(Failed, "bytes returned, then connection lost"):
            FakeStreamServer(clocked(Impatient)).run(lateReader)

    def test_noHalfClose(self) -> None:
        """These checks are skipped on connections that cannot be half-closed."""
        for check in (halfClose, lateReader):
            with (
                mock.patch.object(StreamChannel, "loseWriteConnection", return_value=False),
                self.assertRaisesRegex(Skipped, "TLS clients cannot half-close"),
            ):
                FakeStreamServer().run(check)

    def test_reset(self) -> None:
        """A server that stops working after a client's reset fails."""
        self.addCleanup(setattr, Offended, "offended", False)
        with self.assertRaisesRegex(Failed, "0 of 20 bytes returned"):
            faultyServer(Offended).run(connectionReset)
