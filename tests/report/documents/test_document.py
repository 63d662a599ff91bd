from __future__ import annotations

from msgspec import ValidationError, convert
from twisted.trial.unittest import SynchronousTestCase

from echoproto import __version__
from echoproto.report.documents.document import Document, makeDocument
from tests.report.sampleresults import sampleOrigin


class DocumentTests(SynchronousTestCase):
    def test_head(self) -> None:
        """A document has its format, its version, and the versions of the software."""
        written = makeDocument(Document)
        self.assertEqual((written["format"], written["version"]), ("echoproto-measurement", 1))
        self.assertEqual(written["versions"]["echoproto"], __version__)
        self.assertRaises(ValidationError, convert, {**written, "version": 2}, Document)

    def test_measured(self) -> None:
        """The document of a measurement has its origin, if that is known, and its beginning."""
        origin = sampleOrigin()
        document = convert(makeDocument(Document, origin=origin), Document)
        self.assertEqual(document.source, {"started": origin.began, "origins": (origin,)})
        unknown = convert(makeDocument(Document), Document)
        self.assertEqual(unknown.source, {"started": "", "origins": ()})
