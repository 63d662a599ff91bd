from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from echoproto.status import exposition
from echoproto.status.exposition import familyText
from echoproto.status.histogram import Histogram


class FamilyTextTests(SynchronousTestCase):
    def test_counter(self) -> None:
        """A metric has a help text, a type, and a line for each of its values."""
        text = familyText("x_total", "counter", "Xs.", [({}, 3), ({"b": "1", "a": "2"}, 0.5)])
        self.assertEqual(
            text,
            '# HELP x_total Xs.\n# TYPE x_total counter\nx_total 3.0\nx_total{a="2",b="1"} 0.5\n',
        )

    def test_noValues(self) -> None:
        """A metric without values keeps its help text and type."""
        self.assertEqual(familyText("x", "gauge", "An x.", []), "# HELP x An x.\n# TYPE x gauge\n")

    def test_histogram(self) -> None:
        """A histogram has cumulative buckets, a sum and a count."""
        # The texts of bounds are kept for all histograms.
        exposition._boundText.cache_clear()
        histogram = Histogram((0.1, 1.0))
        for value in (0.05, 0.5, 5.0):
            histogram.add(value)
        text = familyText("x_seconds", "histogram", "Time.", [({"a": "b"}, histogram)])
        self.assertEqual(
            text.splitlines()[2:],
            [
                'x_seconds_bucket{a="b",le="0.1"} 1.0',
                'x_seconds_bucket{a="b",le="1.0"} 2.0',
                'x_seconds_bucket{a="b",le="+Inf"} 3.0',
                'x_seconds_sum{a="b"} 5.55',
                'x_seconds_count{a="b"} 3.0',
            ],
        )

    def test_escaped(self) -> None:
        """A quote, a line end and a backslash in a label are escaped as Prometheus reads them."""
        place = 'unix:/run/a "quoted"\n\\path'
        [family] = text_string_to_metric_families(
            familyText("x", "gauge", "X.", [({"a": place}, 1)])
        )
        self.assertEqual([sample.labels for sample in family.samples], [{"a": place}])
