from __future__ import annotations

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.deadlines import CATCH_UP, LATENESS, DeadlineCall


class DeadlineCallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[tuple[str, float]] = []
        self.call = DeadlineCall(self.clock, 2.0, self.act, "deadline")

    def act(self, name: str) -> None:
        self.made.append((name, self.call.expiredAt))

    def test_onTime(self) -> None:
        """The call runs when it is due, with that time."""
        self.clock.advance(1.9)
        self.assertEqual(self.made, [])
        self.assertTrue(self.call.active())
        self.clock.advance(0.1)
        self.assertEqual(self.made, [("deadline", 2.0)])
        self.assertFalse(self.call.active())

    def test_readsFirst(self) -> None:
        """The call runs one turn after it is due: other due calls run first."""
        self.clock.callLater(2.0, self.act, "read")
        self.clock.advance(2.0)
        self.assertEqual([name for name, _ in self.made], ["read", "deadline"])

    def test_heldUp(self) -> None:
        """A delayed process gets time to read before the call, which has the time before that."""
        self.clock.advance(2.0 + 2 * LATENESS)
        self.assertEqual(self.made, [])
        self.clock.advance(CATCH_UP)
        self.assertEqual(self.made, [("deadline", 2.0 + 2 * LATENESS)])

    def test_cancel(self) -> None:
        """The call can be cancelled before it is due, and while a delayed process reads."""
        self.call.cancel()
        self.assertRaises(AlreadyCancelled, self.call.cancel)
        late = DeadlineCall(self.clock, 2.0, self.act, "late")
        self.clock.advance(9.0)
        late.cancel()
        self.clock.advance(9.0)
        self.assertEqual((self.made, self.clock.getDelayedCalls()), ([], []))

    def test_stop(self) -> None:
        """It can be stopped at any time, also after it was made."""
        self.call.stop()
        self.call.stop()
        late = DeadlineCall(self.clock, 2.0, self.act, "late")
        self.clock.pump([2.0, 0.0])
        late.stop()
        self.assertEqual([name for name, _ in self.made], ["late"])

    def test_reset(self) -> None:
        """It can be put off, also while a late process reads, but not once it is made."""
        self.clock.advance(1.5)
        self.call.reset(2.0)
        self.clock.advance(1.9)
        self.assertEqual(self.made, [])
        self.clock.advance(0.1 + 2 * LATENESS)
        self.call.reset(1.0)
        self.clock.advance(1.0)
        self.assertEqual([name for name, _ in self.made], ["deadline"])
        self.assertRaises(AlreadyCalled, self.call.reset, 1.0)
