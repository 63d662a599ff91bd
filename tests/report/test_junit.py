from __future__ import annotations

from xml.etree.ElementTree import fromstring

from twisted.trial.unittest import SynchronousTestCase

from echoproto.conformance.results import CheckVerdict
from echoproto.report.junit import junitText
from tests.report.sampleresults import conformanceResult, sampleOrigin


class JUnitTests(SynchronousTestCase):
    def test_suite(self) -> None:
        """Each check is a test case of the class of its carrier, with its reason and duration."""
        text = junitText(
            conformanceResult(
                ("tcp", "answers", CheckVerdict.PASSED, "a remark"),
                ("udp", "sizes", CheckVerdict.FAILED, "cut\x1b"),
                ("udp", "burst", CheckVerdict.SKIPPED, "no descriptors"),
            ),
            sampleOrigin("lab9\0", site="roof\x1b"),
        )
        suite = fromstring(text)
        self.assertEqual(
            suite.attrib,
            {
                "name": "echoproto conformance tcp://lab1:7",
                "timestamp": "2026-01-01T00:00:00.000+00:00",
                "hostname": "lab9\\x00",
                "tests": "3",
                "failures": "1",
                "errors": "0",
                "skipped": "1",
                "time": "0.015",
            },
        )
        properties, passed, failed, skipped = suite
        found = {entry.attrib["name"]: entry.attrib["value"] for entry in properties}
        self.assertEqual((list(found)[:2], found["site"]), (["echoproto", "python"], "roof\\x1b"))
        self.assertEqual(passed.attrib, {"classname": "tcp", "name": "answers", "time": "0.005"})
        self.assertEqual(len(passed), 0)
        self.assertEqual(
            (failed[0].tag, failed[0].attrib),
            ("failure", {"message": "cut\\x1b", "type": "timeout"}),
        )
        self.assertEqual(failed[0].text, "It is so. (RFC 862)")
        self.assertEqual(
            (skipped[0].tag, skipped[0].attrib), ("skipped", {"message": "no descriptors"})
        )
