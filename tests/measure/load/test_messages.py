from __future__ import annotations

from itertools import islice

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import ConnectionClosed
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import LoadReport
from echoproto.measure.load.partition import sendTimes
from tests.measure.load.assignments import ordered


class PipeTests(SynchronousTestCase):
    def test_times(self) -> None:
        """In an open loop a worker has its part of the times, in a closed one none."""
        self.assertIsNone(ordered().wholePlan().times)
        times = ordered(rate=10.0, index=1, of=2).wholePlan().times
        assert times is not None
        self.assertEqual(list(islice(times, 3)), list(islice(sendTimes("fixed", 10.0, 1, 2), 3)))

    def test_reports(self) -> None:
        """A report is one line in the pipe, and can be restored from it."""
        counts = IntervalCounts()
        counts.sent = 5
        counts.service.add(7)
        line = LoadReport(counts=counts, error=ConnectionClosed("lost")).line()
        self.assertEqual((line.count(b"\n"), line[-1:]), (1, b"\n"))
        found = LoadReport.fromLine(line)
        assert found.counts is not None
        self.assertEqual((found.counts.sent, found.counts.service.maximum), (5, 7))
        self.assertEqual((str(found.error), found.result), ("lost", None))
