from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.load.timers import Timers
from echoproto.protocols.deadlines import CATCH_UP
from echoproto.text.units import SECOND


class TimersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.called: list[str] = []

    def test_later(self) -> None:
        """A call is made at its time, once."""
        self.timers.later(SECOND, self.called.append, "one")
        self.clock.advance(1)
        self.assertEqual((self.called, self.clock.getDelayedCalls()), (["one"], []))

    def test_limit(self) -> None:
        """A time limit is judged when the sockets were read, if this process was held up."""
        self.timers.limit(SECOND, lambda: self.called.append("one"))
        self.clock.advance(5)
        self.assertEqual(self.called, [])
        self.clock.advance(CATCH_UP)
        self.assertEqual((self.called, self.clock.getDelayedCalls()), (["one"], []))

    def test_end(self) -> None:
        """After the end no call is pending, and none can be added."""
        self.timers.later(SECOND, self.called.append, "one")
        self.timers.end()
        self.timers.later(SECOND, self.called.append, "two")
        self.assertEqual(self.clock.getDelayedCalls(), [])
