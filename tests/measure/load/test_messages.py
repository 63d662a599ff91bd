from __future__ import annotations

import base64
import pickle

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import parseTarget
from echoproto.errors import ConnectionClosed
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import LoadReport, loadAssignments
from echoproto.measure.load.plan import LoadPlan


class LoadReportTests(SynchronousTestCase):
    def test_encode(self) -> None:
        """A report is one line, from which it can be decoded."""
        counts = IntervalCounts()
        counts.sent = 5
        counts.service.add(7)
        line = LoadReport(counts=counts, error=ConnectionClosed("lost")).encode()
        self.assertNotIn(b"\n", line)
        decoded = LoadReport.decode(line)
        assert decoded.counts is not None
        self.assertEqual((decoded.counts.sent, decoded.counts.service.maximum), (5, 7))
        self.assertEqual((str(decoded.error), decoded.result), ("lost", None))

    def test_malformed(self) -> None:
        """A line that is not a report is a ``ValueError``."""
        for line in (b"", b"!", b"abc", b"AAAA", base64.b64encode(pickle.dumps(3))):
            with self.assertRaisesRegex(ValueError, "not a report"):
                LoadReport.decode(line)


class LoadAssignmentsTests(SynchronousTestCase):
    def test_shares(self) -> None:
        """Each worker has its number and its share of the plan."""
        target, connect = parseTarget("lab1"), ConnectOptions()
        first, second = loadAssignments(target, LoadPlan(connections=3), connect, 2)
        self.assertEqual((first.plan.connections, second.plan.connections), (2, 1))
        self.assertEqual((first.index, second.index), (0, 1))
        self.assertEqual((first.target, first.connect), (target, connect))

    def test_unsharedTimes(self) -> None:
        """Send times cannot be shared by workers, only a rate."""
        plan = LoadPlan(times=iter([0]))
        with self.assertRaisesRegex(ValueError, "set its rate"):
            loadAssignments(parseTarget("lab1"), plan, ConnectOptions(), 2)
