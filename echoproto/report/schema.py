"""
The JSON schemas of the documents, which ``echoproto report --schema`` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from echoproto.report.documents.comparison import ComparisonDocument
from echoproto.report.documents.conformance import ConformanceDocument
from echoproto.report.documents.document import VERSION, Document
from echoproto.report.documents.load import LoadDocument
from echoproto.report.documents.ping import PingDocument
from echoproto.report.documents.report import ReportDocument
from echoproto.report.documents.verify import VerifyDocument

#: The documents by command.
DOCUMENTS: Mapping[str, type[Document]] = {
    "ping": PingDocument,
    "load": LoadDocument,
    "verify": VerifyDocument,
    "conformance": ConformanceDocument,
    "report": ReportDocument,
    "compare": ComparisonDocument,
}


def jsonSchema(command: str) -> dict[str, Any]:
    """The JSON schema of the document of a command."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:echoproto:schema:{command}:{VERSION}",
        **msgspec.json.schema(DOCUMENTS[command]),
    }
