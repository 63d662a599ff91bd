"""Targets in memory that answer, and the case of tests that probe them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.host import ResolvedHost
from echoproto.monitor import probedtarget
from echoproto.text.units import SECOND
from tests.measure.fakes import FakeChannel, Target


class EchoChannel(FakeChannel):
    """Answers each probe at once, if its target does."""

    def __init__(self, target: EchoTarget, receiver: Any) -> None:
        super().__init__(target.ordered)
        self.receiver = receiver
        self.connectionless = not target.ordered
        self.connectTime = 3_000_000 if target.ordered else None
        self._target = target

    def send(self, probe: bytes) -> None:
        super().send(probe)
        if self._target.answers:
            self.sent.clear()
            self.receiver.replyReceived(probe)


class EchoTarget(Target):
    """
    A target whose channels answer.

    :ivar answers: whether they do.
    """

    def __init__(self, ordered: bool = False) -> None:
        super().__init__(ordered)
        self.host = ResolvedHost(())
        self.answers = True

    def makeChannel(self, receiver: Any) -> FakeChannel:
        if len(self.channels) > 100:
            del self.channels[:]
        return EchoChannel(self, receiver)

    @property
    def channel(self) -> Any:
        """The last channel."""
        return self.channels[-1]


class ProberTestCase(SynchronousTestCase):
    """A test case whose targets are in memory, on a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        #: What is returned instead of a target, the next times.
        self.makings: list[Deferred[Any]] = []
        self.target = EchoTarget()
        self.patch(probedtarget, "makeTarget", self.makeTarget)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def makeTarget(self, *arguments: object) -> Deferred[Any]:
        return self.makings.pop(0) if self.makings else succeed(self.target)

    def now(self) -> int:
        return round(self.clock.seconds() * SECOND)

    def advance(self, seconds: float, then: Callable[[], object] = lambda: None) -> None:
        """Let time pass in steps of a tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            then()
