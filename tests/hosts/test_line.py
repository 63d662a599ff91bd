"""What a line does to packets, and what it writes down."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.hosts.line import RECORDED, Delivery, Impairment, Line


def decisions(impairment: Impairment, packets: int = 10_000) -> list[list[float]]:
    """The delays of the copies of many packets."""
    random = Random(1)
    return [impairment.delays(random) for _ in range(packets)]


class ImpairmentTests(SynchronousTestCase):
    def test_none(self) -> None:
        """By default a packet arrives once, at once."""
        self.assertEqual(decisions(Impairment(), 100), [[0.0]] * 100)

    def test_shares(self) -> None:
        """The share of lost, doubled and held packets is the one of the impairment."""
        made = decisions(Impairment(delay=1, loss=0.1, duplicates=0.2, reordering=0.3, holdback=2))
        arrived = [delays for delays in made if delays]
        self.assertApproximates(1 - len(arrived) / len(made), 0.1, 0.01)
        doubled = [delays for delays in arrived if len(delays) == 2]
        self.assertApproximates(len(doubled) / len(arrived), 0.2, 0.02)
        held = [delays for delays in arrived if delays[0] == 3]
        self.assertApproximates(len(held) / len(arrived), 0.3, 0.02)
        self.assertEqual({delay for delays in arrived for delay in delays}, {1, 3})

    def test_certain(self) -> None:
        """A share of 1 is every packet, and a share of 0 none."""
        self.assertEqual(decisions(Impairment(loss=1), 10), [[]] * 10)
        twice = Impairment(duplicates=1, reordering=1, holdback=0.5)
        self.assertEqual(decisions(twice, 10), [[0.5, 0.5]] * 10)

    def test_jitter(self) -> None:
        """Delays spread evenly around the delay, and are never negative."""
        delays = [delay for [delay] in decisions(Impairment(delay=3, jitter=1))]
        self.assertTrue(2 <= min(delays) < 2.01 and 3.99 < max(delays) <= 4)
        self.assertEqual(min(decisions(Impairment(jitter=1)))[0], 0)

    def test_seed(self) -> None:
        """Equal seeds decide equally; losses are the same ones with other impairments added."""
        made = decisions(Impairment(loss=0.1, duplicates=0.1))
        self.assertEqual(decisions(Impairment(loss=0.1, duplicates=0.1)), made)


class LineTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Packets leave when they have to, in their order, and are recorded then."""
        line = Line(Impairment(delay=2), Random(1))
        line.enter(b"first", 10)
        line.enter(b"second", 10)
        line.enter(b"third", 11)
        self.assertEqual((line.due(), line.leave(11.9)), (12, []))
        self.assertEqual(line.leave(12.5), [b"first", b"second"])
        self.assertEqual((line.due(), line.entered, line.lost), (13, 3, []))
        first, second = Delivery(b"first", 10, 12.5), Delivery(b"second", 10, 12.5)
        self.assertEqual(line.delivered, [first, second])

    def test_reordering(self) -> None:
        """A packet that is held back is overtaken."""
        line = Line(Impairment(reordering=1, holdback=1), Random(1))
        line.enter(b"held", 10)
        line.impairment = Impairment()
        line.enter(b"next", 10.5)
        self.assertEqual(line.leave(20), [b"next", b"held"])

    def test_duplicates(self) -> None:
        """A doubled packet leaves twice, and is recorded twice."""
        line = Line(Impairment(duplicates=1), Random(1))
        line.enter(b"twin", 10)
        self.assertEqual(line.leave(10), [b"twin", b"twin"])
        self.assertEqual((line.entered, len(line.delivered)), (1, 2))

    def test_loss(self) -> None:
        """A lost packet never leaves, and its beginning is recorded."""
        line = Line(Impairment(loss=1), Random(1))
        line.enter(bytes(2 * RECORDED), 10)
        self.assertEqual((line.leave(1e9), line.due()), ([], float("inf")))
        self.assertEqual((line.entered, line.lost), (1, [bytes(RECORDED)]))
