from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from echoproto.transports.readpause import FIRST_PAUSE, LONGEST_PAUSE, ReadPause


class FakePort:
    def __init__(self) -> None:
        self.isReading = True
        self.disconnecting = False

    def startReading(self) -> None:
        self.isReading = True

    def stopReading(self) -> None:
        self.isReading = False


class ReadPauseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.port = FakePort()
        self.pause = ReadPause(self.port, self.clock)

    def pauses(self, count: int) -> list[float]:
        """The lengths of pauses that follow one another."""
        found = []
        for _ in range(count):
            self.pause.begin()
            [call] = self.clock.getDelayedCalls()
            found.append(call.getTime() - self.clock.seconds())
            self.clock.advance(found[-1])
        return found

    def test_growing(self) -> None:
        """Pauses double up to the longest one; after a success they begin anew."""
        found = self.pauses(10)
        for seconds, expected in zip(found, (FIRST_PAUSE * 2**n for n in range(10)), strict=True):
            self.assertAlmostEqual(seconds, min(expected, LONGEST_PAUSE))
        self.pause.seconds = FIRST_PAUSE
        self.assertAlmostEqual(self.pauses(1)[0], FIRST_PAUSE)

    def test_reading(self) -> None:
        """A port is not read while it pauses, however often that begins; then it is read again."""
        self.pause.begin()
        self.pause.begin()
        self.assertFalse(self.port.isReading)
        self.clock.advance(FIRST_PAUSE)
        self.assertTrue(self.port.isReading)

    def test_closing(self) -> None:
        """A port that is being closed is not read again."""
        self.pause.begin()
        self.port.disconnecting = True
        self.clock.advance(FIRST_PAUSE)
        self.assertFalse(self.port.isReading)

    def test_cancel(self) -> None:
        """After cancel() nothing is scheduled; a second one has no effect."""
        self.pause.begin()
        self.pause.cancel()
        self.pause.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
