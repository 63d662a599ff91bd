from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from echoproto.client.targets.channels import WriteControl, openChannel
from echoproto.errors import ConnectionClosed
from echoproto.text.units import SECOND


class OpenChannelTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.opened: Deferred[Any] = Deferred()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def open(self, receiver: object) -> Deferred[Any]:
        """The target: open a channel."""
        return self.opened

    def opening(self) -> Deferred[Any]:
        target: Any = self
        return openChannel(target, object(), self.clock, SECOND)

    def test_opened(self) -> None:
        """A channel that is opened in time is the result."""
        opening = self.opening()
        self.clock.advance(0.9)
        self.opened.callback("channel")
        self.assertEqual(self.successResultOf(opening), "channel")

    def test_late(self) -> None:
        """A connection that is not made in time fails with the limit."""
        opening = self.opening()
        self.clock.advance(1)
        failure = self.failureResultOf(opening, ConnectionClosed)
        self.assertEqual(str(failure.value), "no connection in 1 s")

    def test_explained(self) -> None:
        """A cancellation at the limit that has a reason fails with that."""
        self.opened = Deferred(lambda opened: opened.errback(CancelledError("no handshake")))
        opening = self.opening()
        self.clock.advance(1)
        failure = self.failureResultOf(opening, ConnectionClosed)
        self.assertEqual(str(failure.value), "no handshake")

    def test_openedAtTheLimit(self) -> None:
        """A connection that is made although it was cancelled is the result."""
        self.opened = Deferred(lambda opened: opened.callback("channel"))
        opening = self.opening()
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(opening), "channel")

    def test_failed(self) -> None:
        """Another failure and a cancellation are passed on."""
        self.opened = fail(ConnectionRefusedError())
        self.failureResultOf(self.opening(), ConnectionRefusedError)
        self.opened = Deferred()
        opening = self.opening()
        opening.cancel()
        self.failureResultOf(opening, CancelledError)


class WriteControlTests(SynchronousTestCase):
    def test_paused(self) -> None:
        """The state is that of the transport's last call."""
        control = WriteControl()
        verifyObject(IPushProducer, control)
        states = [control.isPaused]
        for call in (control.pauseProducing, control.stopProducing, control.resumeProducing):
            call()
            states.append(control.isPaused)
        self.assertEqual(states, [False, True, True, False])
