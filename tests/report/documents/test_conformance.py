from __future__ import annotations

from echoproto.conformance.results import CheckVerdict
from echoproto.report.documents.conformance import conformanceDocument
from tests.report.sampleresults import MS, conformanceResult, sampleOrigin
from tests.report.validity import DocumentTestCase


class ConformanceDocumentTests(DocumentTestCase):
    def test_conformance(self) -> None:
        """The document of the conformance suite is valid."""
        result = conformanceResult(
            ("tcp", "answers", CheckVerdict.PASSED, ""),
            ("udp", "sizes", CheckVerdict.FAILED, "cut"),
        )
        written = conformanceDocument(result, sampleOrigin(site="roof"))
        self.validate(written)
        self.assertEqual(written["origin"]["labels"], {"site": "roof"})
        self.assertEqual(written["counts"], {"passed": 1, "failed": 1, "skipped": 0})
        self.assertEqual(
            written["checks"][1],
            {
                "carrier": "udp",
                "name": "sizes",
                "requirement": "It is so.",
                "source": "RFC 862",
                "risky": False,
                "verdict": "failed",
                "reason": "cut",
                "reason_code": "timeout",
                "duration_ns": 5 * MS,
            },
        )
