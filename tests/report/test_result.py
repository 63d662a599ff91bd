from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.report.sampleresults import storedResult, storedVerification


class SavedTests(SynchronousTestCase):
    def test_lost(self) -> None:
        """What has no reply is lost; more replies than were sent are no loss, and of nothing nothing is lost."""
        for sent, received, lost, ratio in ((10, 9, 1, 0.1), (9, 10, 0, 0), (0, 0, 0, 0)):
            found = storedResult(sent=sent, received=received)
            self.assertEqual((found.lost, found.lossRatio), (lost, ratio))

    def test_words(self) -> None:
        """It says of what it is, and where it came from."""
        self.assertEqual(
            (storedResult().kind, storedResult().inBytes), ("rtt times of ping", False)
        )
        self.assertEqual(
            (storedVerification().kind, storedVerification().inBytes), ("verify", True)
        )
        self.assertEqual(storedResult().origin, "a.json")
        self.assertEqual(storedResult(files=("a", "b", "c")).origin, "a and 2 more")
