from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.report.sampleresults import storedResult, storedVerification


class StoredResultTests(SynchronousTestCase):
    def test_lost(self) -> None:
        """Exchanges without a reply are lost; the loss is 0 if nothing was sent."""
        for sent, received, lost, ratio in ((10, 9, 1, 0.1), (9, 10, 0, 0), (0, 0, 0, 0)):
            found = storedResult(sent=sent, received=received)
            self.assertEqual((found.lost, found.lossRatio), (lost, ratio))

    def test_words(self) -> None:
        """A result has its kind and its files in words."""
        self.assertEqual(
            (storedResult().kind, storedResult().inBytes), ("rtt times of ping", False)
        )
        self.assertEqual(
            (storedVerification().kind, storedVerification().inBytes), ("verify", True)
        )
        self.assertEqual(storedResult().origin, "a.json")
        self.assertEqual(storedResult(files=("a", "b", "c")).origin, "a and 2 more")
