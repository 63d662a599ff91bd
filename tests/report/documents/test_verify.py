from __future__ import annotations

from collections import Counter

from msgspec import convert

from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.documents.verify import (
    VerifyConfiguration,
    VerifyDocument,
    verifyDocument,
)
from tests.report.sampleresults import MS, sampleOrigin
from tests.report.validity import DocumentTestCase


class VerifyDocumentTests(DocumentTestCase):
    def test_verify(self) -> None:
        """The document of a verification, with faults and without, is valid."""
        fault = Fault(FaultKind.FOREIGN, 5, 1, b"\0", b"\xff")
        for counts, faults in ((Counter({FaultKind.FOREIGN: 1}), (fault,)), (Counter(), ())):
            result = VerifyResult("tcp://lab1:7", 5, 10, 9, MS, counts, faults, "")
            written = verifyDocument(result)
            self.validate(written)
        self.assertEqual((written["rate_bytes_per_second"], written["counts"]["cut"]), (9000, 0))

    def test_stored(self) -> None:
        """The stored result counts wrong bytes, without those that were cut off."""
        counts = Counter({FaultKind.FLIPPED: 2, FaultKind.CUT: 1})
        result = VerifyResult("tcp://lab1:7", 5, 10, 9, MS, counts, (), "")
        configuration = VerifyConfiguration(size=10, duration=None, timeout=MS)
        for document, options in (
            (verifyDocument(result), {}),
            (
                verifyDocument(result, sampleOrigin(), configuration),
                {"size_bytes": 10, "duration_ns": None, "timeout_ns": MS},
            ),
        ):
            self.validate(document)
            (found,) = convert(document, VerifyDocument).results("a.json")
            self.assertEqual((found.counts, found.options), ({"wrong": 2}, options))
