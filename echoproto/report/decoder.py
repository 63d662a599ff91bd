"""
Decodes JSON text of unknown origin into stored results.

The structs of :mod:`.documents` validate every value, and histograms are checked before they are
decompressed, so that a damaged or hostile text is refused with bounded memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from echoproto.report.documents.document import FORMAT, VERSION
from echoproto.report.documents.load import LoadDocument
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.ping import PingDocument, TargetValues
from echoproto.report.documents.report import ReportDocument
from echoproto.report.documents.verify import VerifyDocument
from echoproto.report.result import StoredResult
from echoproto.text.untrusted import escaped

#: The usual remedy for an invalid file.
REMEDY = "measure again, with -o json --out FILE"

_OTHER_FILE = "not an echoproto measurement"

# A message may quote a value of the file; longer messages are cut.
_MAX_MESSAGE_LENGTH = 200

_DOCUMENTS: Mapping[str, type[PingDocument | LoadDocument | VerifyDocument | ReportDocument]] = {
    "ping": PingDocument,
    "load": LoadDocument,
    "verify": VerifyDocument,
    "report": ReportDocument,
}

_Values = TypeVar("_Values")


class InvalidDocument(ValueError):
    """
    The text is not a valid document.

    :param message: the field and the cause.
    :ivar remedy: the remedy.
    """

    def __init__(self, message: str, remedy: str = REMEDY) -> None:
        super().__init__(message)
        self.remedy = remedy


class _Header(msgspec.Struct):
    """The fields that identify a document, of any type."""

    format: object = None
    version: object = None
    command: object = None


def decodeValues(text: str, kind: type[_Values]) -> _Values:
    """
    Decode and validate JSON text.

    :param kind: a struct of :mod:`.documents`.
    :raise InvalidDocument: it is invalid.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        raise InvalidDocument(_message(str(error))) from None
    except (ValueError, RecursionError) as error:
        cause = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise InvalidDocument(f"not valid JSON, or truncated ({_shortened(cause)})") from None


def _message(text: str) -> str:
    """A validation error of msgspec in our form: first the field, then the cause."""
    cause, _, path = text.rpartition(" - at ")
    if not cause:
        cause, path = path, ""
    cause = _shortened(cause.replace("`", ""))
    field = re.sub(r"^`key` in |`|\$\.?", "", path)
    if field:
        return f"{field}: {cause}"
    return f"{_OTHER_FILE} ({cause})" if cause.startswith("expected object") else cause


def _shortened(text: str) -> str:
    if text[1:2].islower():
        text = text[:1].lower() + text[1:]
    return escaped(text[:_MAX_MESSAGE_LENGTH])


def decodeResults(text: str, name: str) -> list[StoredResult]:
    """
    Decode the results of a document.

    :param name: name of its file.
    :raise InvalidDocument: it is invalid.
    """
    header = decodeValues(text, _Header)
    if header.format != FORMAT:
        raise InvalidDocument(_OTHER_FILE)
    if type(header.version) is int and header.version > VERSION:
        version = _shortened(str(header.version))
        raise InvalidDocument(
            f"format version {version} is newer than {VERSION}", "use a newer echoproto"
        )
    command = header.command if isinstance(header.command, str) else ""
    if command not in _DOCUMENTS:
        raise InvalidDocument(
            f"command {escaped(command[:20])!r} has no results to report",
            "pass the output of ping, load, verify or report",
        )
    document = decodeValues(text, _DOCUMENTS[command])
    try:
        return [_escaped(result) for result in document.results(name)]
    except ValueError as error:
        raise InvalidDocument(str(error)) from None


def decodeTarget(text: str, name: str) -> StoredResult:
    """
    Decode the summary of a ping in NDJSON.

    :param name: name of its file.
    :raise InvalidDocument: it is invalid.
    """
    target = decodeValues(text, TargetValues)
    try:
        return _escaped(target.result(name))
    except ValueError as error:
        raise InvalidDocument(str(error)) from None


def _escapedText(value: object) -> Any:
    """Plain values of JSON whose text is escaped."""
    if isinstance(value, dict):
        return {escaped(name): _escapedText(found) for name, found in value.items()}
    if isinstance(value, list):
        return [_escapedText(found) for found in value]
    return escaped(value) if isinstance(value, str) else value


def _escaped(result: StoredResult) -> StoredResult:
    """A result whose text is escaped."""
    origins = _escapedText(msgspec.to_builtins([*result.origins]))
    return replace(
        result,
        target=escaped(result.target),
        started=escaped(result.started),
        origins=msgspec.convert(origins, tuple[Origin, ...]),
        options=_escapedText(result.options),
        limits=tuple(map(escaped, result.limits)),
        reasons=_escapedText(result.reasons),
        remarks=tuple(map(escaped, result.remarks)),
    )
