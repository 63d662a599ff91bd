"""
The JSON schemas of the documents: ``python -m echoproto.report.schema COMMAND`` prints one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
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


def printSchema(arguments: Sequence[str]) -> None:
    """Print the JSON schema of the document of a command."""
    if len(arguments) != 1 or arguments[0] not in DOCUMENTS:
        raise SystemExit(f"usage: python -m echoproto.report.schema {{{'|'.join(DOCUMENTS)}}}")
    print(json.dumps(jsonSchema(arguments[0]), indent=2))


if __name__ == "__main__":  # pragma: no cover
    printSchema(sys.argv[1:])
