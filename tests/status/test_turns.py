from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.status.turns import MAX_WAITING, GradualText, TooManyRequests


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
        self.text = GradualText(self.clock, self.make)

    def make(self) -> Iterator[bytes]:
        for part in (b"a", b"", b"b"):
            self.made.append(part)
            yield part

    def test_turns(self) -> None:
        """Each part is made in a turn of its own."""
        making = self.text.request()
        counts = []
        while self.clock.calls:
            self.clock.turn()
            counts.append(len(self.made))
        self.assertEqual(counts, [1, 2, 3, 3])
        self.assertEqual(self.successResultOf(making), b"ab")

    def test_shared(self) -> None:
        """It is made once for all who request it meanwhile, and anew for the next."""
        first = self.text.request()
        self.clock.turn()
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
