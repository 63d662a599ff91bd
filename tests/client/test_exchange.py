from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.exchange import Exchange, checkBytes
from echoproto.errors import EchoMismatch, EchoprotoError, ExchangeCancelled, ExchangeTimeout
from echoproto.protocols.deadlines import CATCH_UP


class ExchangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.givenUp: list[EchoprotoError] = []
        self.exchange = Exchange(b"data", self.clock, 2.0, self.giveUp)

    def giveUp(self, exchange: Exchange, error: EchoprotoError) -> None:
        self.givenUp.append(error)
        exchange.end(error)

    def test_answered(self) -> None:
        """A successful exchange fires once with its data and leaves no timer behind."""
        self.exchange.end()
        self.exchange.end(EchoMismatch(0, b"", b""))
        self.assertEqual(self.successResultOf(self.exchange.result), b"data")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failed(self) -> None:
        """An exchange that ends with an error fails with that error and leaves no timer behind."""
        self.exchange.end(EchoMismatch(0, b"", b""))
        self.failureResultOf(self.exchange.result, EchoMismatch)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timeout(self) -> None:
        """An exchange that times out is given up; the error has the number of received bytes."""
        self.exchange.matched = 1
        self.clock.advance(2.0)
        failure = self.failureResultOf(self.exchange.result, ExchangeTimeout)
        self.assertEqual(str(failure.value), "1 of 4 bytes received within 2 s")
        self.assertEqual(self.givenUp, [failure.value])

    def test_cancelled(self) -> None:
        """A cancelled exchange is given up and leaves no timer behind."""
        self.exchange.result.cancel()
        self.failureResultOf(self.exchange.result, ExchangeCancelled)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_readFirst(self) -> None:
        """After a pause of this process an exchange fails only when the sockets were read."""
        self.clock.advance(60)
        self.assertEqual((self.givenUp, self.exchange.result.called), ([], False))
        self.exchange.end()
        self.assertEqual(self.successResultOf(self.exchange.result), b"data")
        self.clock.advance(CATCH_UP)
        self.assertEqual((self.givenUp, self.clock.getDelayedCalls()), ([], []))


class CheckBytesTests(SynchronousTestCase):
    def test_onlyBytes(self) -> None:
        """Bytes are accepted; any other type raises a TypeError that names the type."""
        checkBytes(b"")
        for wrong in ("text", bytearray(b"x"), 5):
            error = self.assertRaises(TypeError, checkBytes, wrong)
            self.assertIn(type(wrong).__name__, str(error))
