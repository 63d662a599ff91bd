from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.ping.echoplus import LossDirections
from echoproto.text.units import SECOND
from tests.report.sampleresults import sampleOrigin, storedResult, storedVerification


class StoredResultTests(SynchronousTestCase):
    def test_lost(self) -> None:
        """Exchanges without a reply are lost; the loss is 0 if nothing was sent."""
        for sent, received, lost, ratio in ((10, 9, 1, 0.1), (9, 10, 0, 0), (0, 0, 0, 0)):
            found = storedResult(sent=sent, received=received)
            self.assertEqual((found.lost, found.lossRatio), (lost, ratio))

    def test_directions(self) -> None:
        """A loss that is neither to nor from the server is one in an unknown direction."""
        counts = {"lost_up": 1, "lost_down": 2}
        result = storedResult(sent=10, received=5, counts=counts)
        self.assertEqual(result.directions, LossDirections(1, 2, 2, 0))
        result = storedResult(sent=10, received=5, counts={**counts, "lost_unsent": 1})
        self.assertEqual(result.directions, LossDirections(1, 2, 1, 1))
        self.assertIsNone(storedResult().directions)

    def test_words(self) -> None:
        """A result has its kind and its files in words."""
        self.assertEqual(
            (storedResult().kind, storedResult().inBytes), ("rtt times of ping", False)
        )
        self.assertEqual(
            (storedVerification().kind, storedVerification().inBytes), ("verify", True)
        )
        self.assertEqual(storedResult().source, "a.json")
        self.assertEqual(storedResult(files=("a", "b", "c")).source, "a and 2 more")

    def test_origins(self) -> None:
        """The hosts, the labels that all have, and the span are those of the origins."""
        unknown = storedResult()
        self.assertEqual((unknown.hosts, unknown.labels, unknown.span), ((), {}, None))
        origins = (
            sampleOrigin("lab1", 9, site="roof", run="1"),
            sampleOrigin("lab2", 5, site="roof", run="2"),
        )
        found = storedResult(origins=origins)
        self.assertEqual((found.hosts, found.labels), (("lab1", "lab2"), {"site": "roof"}))
        began = 1_767_225_605 * SECOND
        self.assertEqual(found.span, (began, began + 2 * SECOND))
