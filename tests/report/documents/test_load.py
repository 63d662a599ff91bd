from __future__ import annotations

from collections import Counter

from msgspec import convert

from echoproto.measure.assertions import COUNTS, SHARES, TIMES
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.plan import LoadPlan
from echoproto.measure.load.ramp import RampStep
from echoproto.report.documents.load import LoadDocument, loadDocument, loadFigures
from echoproto.text.units import SECOND
from tests.report.sampleresults import MS, histogramOf, loadResult, sampleOrigin
from tests.report.validity import DocumentTestCase


class LoadDocumentTests(DocumentTestCase):
    def test_load(self) -> None:
        """The document of a load, with intervals and without, is valid."""
        for result in (
            loadResult(
                intervals=(Interval(0, 5, 4, 1, 1, 2, 3, 4), Interval(SECOND, 5, 0, wrong=0))
            ),
            loadResult(duration=0, sent=0, service=LatencyHistogram(), errors=Counter(gone=2)),
        ):
            self.validate(loadDocument(result))
            self.validate(loadDocument(result, sampleOrigin()))
        self.assertEqual(loadDocument(loadResult())["rate_per_second"], 4.5)
        both = loadResult(
            plan=LoadPlan(rate=5.0, arrivals="poisson", sizes=(64, 100)), workers=[loadResult()] * 2
        )
        options = loadDocument(both)["configuration"]
        names = ("arrivals", "workers", "min_size_bytes", "max_size_bytes")
        self.assertEqual([options[name] for name in names], ["poisson", 2, 64, 100])

    def test_steps(self) -> None:
        """The steps of a ramp are in the document."""
        step = RampStep(5.0, SECOND, IntervalCounts(), ["p99<5ms: not measured"])
        document = loadDocument(loadResult(), steps=[step])
        self.validate(document)
        self.assertEqual(document["steps"][0]["target_rate_per_second"], 5)

    def test_stored(self) -> None:
        """The stored result has response times in an open loop, and service times in a closed."""
        for plan, measured in ((LoadPlan(), "service"), (LoadPlan(rate=5.0), "response")):
            document = loadDocument(loadResult(plan=plan, response=histogramOf(7)))
            (found,) = convert(document, LoadDocument).results("a.json")
            self.assertEqual((found.command, found.measured), ("load", measured))
            others = ["service", "connect"] if plan.open else ["connect"]
            self.assertEqual(list(found.otherTimes), others)
            self.assertEqual(found.times.maximum, (7 if plan.open else 3) * MS)

    def test_loadFigures(self) -> None:
        """Times are response times, or service times in a closed loop, if there are replies."""
        values = loadFigures(loadResult())
        self.assertEqual((values["max"], values["rate"], values["loss"]), (3 * MS, 4.5, 0.1))
        self.assertEqual(loadFigures(loadResult(response=histogramOf(7)))["max"], 7 * MS)
        self.assertEqual(set(values) - {*TIMES, *COUNTS, *SHARES}, set())
        empty = loadFigures(loadResult(sent=0, service=LatencyHistogram()))
        self.assertEqual((empty["loss"], "p50" in empty), (0, False))
