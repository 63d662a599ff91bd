from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.status.turns import (
    MAX_TURN_SHARE,
    MAX_WAITING,
    TURN_TIME,
    GradualText,
    TooManyRequests,
)


class Turns(Clock):
    """A clock that makes one call in a turn, as a reactor does for calls that are due at once."""

    def turn(self) -> None:
        call = self.calls.pop(0)
        call.called = 1
        call.func(*call.args, **call.kw)


class GradualTextTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Turns()
        self.made: list[bytes] = []
        self.used = 0.0
        self.text = GradualText(self.clock, self.make, lambda: self.used)

    def make(self) -> Iterator[bytes]:
        for part in (b"a", b"", b"b"):
            self.made.append(part)
            self.used += 0.6 * TURN_TIME
            yield part

    def test_turns(self) -> None:
        """A turn is over when it has taken its time."""
        making = self.text.request()
        counts = []
        while self.clock.calls:
            self.clock.turn()
            counts.append(len(self.made))
        self.assertEqual(counts, [2, 3])
        self.assertEqual(self.successResultOf(making), b"ab")

    def test_busy(self) -> None:
        """If the event loop is busy, a turn is longer, so that there are few."""
        self.text.request()
        self.clock.rightNow += 2 * TURN_TIME / MAX_TURN_SHARE
        self.clock.turn()
        self.assertEqual((len(self.made), self.clock.calls), (3, []))

    def test_shared(self) -> None:
        """It is made once for all who request it meanwhile, and anew for the next."""
        first = self.text.request()
        self.clock.turn()
        self.assertEqual(len(self.made), 2)
        left, second = self.text.request(), self.text.request()
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.clock.advance(0)
        self.assertEqual([self.successResultOf(found) for found in (first, second)], [b"ab"] * 2)
        self.assertEqual(len(self.made), 3)
        third = self.text.request()
        self.clock.advance(0)
        self.assertEqual((self.successResultOf(third), len(self.made)), (b"ab", 6))

    def test_tooMany(self) -> None:
        """The number of those who wait is limited."""
        waiting = [self.text.request() for _ in range(MAX_WAITING)]
        self.failureResultOf(self.text.request(), TooManyRequests)
        self.clock.advance(0)
        self.assertEqual([self.successResultOf(found) for found in waiting], [b"ab"] * MAX_WAITING)

    def test_error(self) -> None:
        """An error reaches all of them, and the next request begins anew."""

        def fail() -> Iterator[bytes]:
            yield b"a"
            raise ValueError

        text = GradualText(self.clock, fail)
        for _ in range(2):
            made = [text.request(), text.request()]
            self.clock.advance(0)
            for making in made:
                self.failureResultOf(making, ValueError)
