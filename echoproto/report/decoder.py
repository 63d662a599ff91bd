"""
Decodes JSON text of unknown origin into stored results.

The structs of :mod:`.schema` validate every value, and histograms are checked before they are
decompressed, so that a damaged or hostile text is refused with bounded memory.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from echoproto.escape import escaped
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.verify.integrity import FaultKind
from echoproto.report.document import plainValues
from echoproto.report.result import StoredResult
from echoproto.report.schema import (
    DOCUMENTS,
    FORMAT,
    VERSION,
    IntervalValues,
    LoadDocument,
    PingDocument,
    ReportDocument,
    ResultValues,
    TargetValues,
    TimesValues,
    VerifyDocument,
)
from echoproto.units import SECOND

#: The usual remedy for an invalid file.
REMEDY = "measure again, with -o json --out FILE"

# The beginnings of the outer and the inner part of an HdrHistogram in the V2 encoding, with the
# parameters of LatencyHistogram, and the length of the inner part: 9 bytes for each bucket at most.
_OUTER = struct.pack(">I", 0x1C849314)
_INNER = struct.pack(">I", 0x1C849313)
_RANGE = struct.pack(">IIQQd", 0, 3, 1, 3_600_000_000_000, 1.0)
_HEADER_SIZE = 40
_MAX_INNER_SIZE = _HEADER_SIZE + 9 * 40_000

# A message may quote a value of the file; longer messages are cut.
_MAX_MESSAGE_LENGTH = 200

_COUNTS = ("corrupt", "duplicates", "reordered", "late", "foreign", "dropped")

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

    format: Any = None
    version: Any = None
    command: Any = None


def decodeValues(text: str, kind: type[_Values]) -> _Values:
    """
    Decode and validate JSON text.

    :param kind: a struct of :mod:`.schema`.
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
    return f"{field}: {cause}" if field else cause


def _shortened(text: str) -> str:
    text = text[:1].lower() + text[1:_MAX_MESSAGE_LENGTH]
    return escaped(text)


def decodeResults(text: str, name: str) -> list[StoredResult]:
    """
    Decode the results of a document.

    :param name: name of its file.
    :raise InvalidDocument: it is invalid.
    """
    header = decodeValues(text, _Header)
    if header.format != FORMAT:
        raise InvalidDocument("not an echoproto measurement")
    if type(header.version) is int and header.version > VERSION:
        version = _shortened(str(header.version))
        raise InvalidDocument(
            f"format version {version} is newer than {VERSION}", "pip install -U echoproto"
        )
    command = header.command if isinstance(header.command, str) else ""
    if command not in _READERS:
        raise InvalidDocument(
            f"command {escaped(command[:20])!r} has no results to report",
            "pass the output of ping, load, verify or report",
        )
    document: Any = decodeValues(text, DOCUMENTS[command])
    return list(_READERS[command](document, name))


def decodeTarget(text: str, name: str) -> StoredResult:
    """
    Decode the summary of a ping in NDJSON.

    :param name: name of its file.
    :raise InvalidDocument: it is invalid.
    """
    return _target(decodeValues(text, TargetValues), name, "")


def intervalOf(values: IntervalValues) -> Interval:
    """The interval of a struct."""
    if not values.received:
        return Interval(values.at_ns, values.sent, 0)
    times = values.min_ns, values.p50_ns, values.p99_ns, values.max_ns
    return Interval(values.at_ns, values.sent, values.received, *times)


def _ping(document: PingDocument, name: str) -> Iterator[StoredResult]:
    for index, target in enumerate(document.targets):
        yield _target(target, name, f"targets[{index}].", document.started)


def _target(target: TargetValues, name: str, path: str, started: str = "") -> StoredResult:
    counts = {count: getattr(target, count) for count in _COUNTS}
    times = decodeTimes(target.rtt, f"{path}rtt")
    stored = _stored(target, name, "ping", counts, "rtt", times, path)
    return _described(
        stored,
        target.started or started,
        target.configuration,
        target.client_limits,
        target.reasons,
    )


def _load(document: LoadDocument, name: str) -> Iterator[StoredResult]:
    measured, times = "service", document.service
    if document.configuration.rate_per_second is not None:
        measured, times = "response", document.response
    counts = {"wrong": document.wrong, "dropped": document.dropped}
    stored = _stored(document, name, "load", counts, measured, decodeTimes(times, measured), "")
    limits, errors = document.client_limits, document.connection_errors
    yield _described(stored, document.started or "", document.configuration, limits, errors)


def _stored(
    values: TargetValues | LoadDocument | ResultValues,
    name: str,
    command: str,
    counts: Mapping[str, int],
    measured: str,
    times: LatencyHistogram,
    path: str,
) -> StoredResult:
    return StoredResult(
        (name,),
        command,
        escaped(values.target),
        values.sent,
        values.received,
        values.duration_ns,
        _rate(values.received, values.duration_ns),
        counts,
        measured,
        times,
        *_intervals(values, path),
    )


def _verify(document: VerifyDocument, name: str) -> Iterator[StoredResult]:
    # Bytes that were cut off are lost, not wrong.
    wrong = sum(count for kind, count in document.counts.items() if kind is not FaultKind.CUT)
    stored = StoredResult(
        (name,),
        "verify",
        escaped(document.target),
        document.sent_bytes,
        document.received_bytes,
        document.duration_ns,
        _rate(document.received_bytes, document.duration_ns),
        {"wrong": wrong},
        "",
        LatencyHistogram(),
    )
    yield _described(stored, document.started or "", document.configuration or {}, (), {})


def _report(document: ReportDocument, name: str) -> Iterator[StoredResult]:
    for index, result in enumerate(document.results):
        path = f"results[{index}]."
        times = decodeTimes(result.times, f"{path}times") if result.times else LatencyHistogram()
        counts = {str(kind): count for kind, count in result.counts.items()}
        stored = _stored(result, name, result.command, counts, result.measured, times, path)
        # Of merged results, the rate is a sum.
        stored = replace(
            stored,
            rate=result.rate_per_second,
            remarks=tuple(map(escaped, result.remarks)),
        )
        options, limits = result.configuration, result.client_limits
        yield _described(stored, result.started, options, limits, result.reasons)


def _described(
    stored: StoredResult,
    started: str,
    configuration: msgspec.Struct | Mapping[str, Any],
    limits: Sequence[str],
    reasons: Mapping[str, int],
) -> StoredResult:
    """A result with its options and notes, whose text is escaped."""
    options = configuration
    if isinstance(options, msgspec.Struct):
        options = plainValues(options)
    return replace(
        stored,
        started=escaped(started),
        options={
            escaped(name): escaped(value) if isinstance(value, str) else value
            for name, value in options.items()
        },
        limits=tuple(map(escaped, limits)),
        reasons={escaped(reason): count for reason, count in reasons.items()},
    )


def _rate(received: int, duration: int) -> float:
    return received * SECOND / duration if duration else 0.0


def _intervals(
    values: TargetValues | LoadDocument | ResultValues, path: str
) -> tuple[int, tuple[Interval, ...]]:
    if not values.intervals:
        return 0, ()
    if values.interval_ns is None:
        raise InvalidDocument(f"{path}interval_ns: missing width of the intervals")
    return values.interval_ns, tuple(map(intervalOf, values.intervals))


def decodeTimes(times: TimesValues, path: str) -> LatencyHistogram:
    """
    Decode a histogram, with its figures.

    :param path: its field, for the message.
    :raise InvalidDocument: it is not as :class:`LatencyHistogram` writes it.
    """
    try:
        checkHistogram(times.histogram)
        restored = LatencyHistogram.restored(plainValues(times))
        if sum(count for _, _, count in restored.buckets()) != times.count:
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise InvalidDocument(f"{path}.histogram: invalid histogram") from None
    return restored


def checkHistogram(text: str) -> None:
    """
    Check that a histogram has our encoding and size, before it is decoded with unbounded memory.

    :raise ValueError: it has not.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
        unpacking = zlib.decompressobj()
        inner = unpacking.decompress(data[8:], _MAX_INNER_SIZE)
    except zlib.error as error:
        raise ValueError from error
    # The four bytes that are left out are the length of the buckets, which decoders ignore.
    isOurs = data[:4] == _OUTER and inner[:4] + inner[8:_HEADER_SIZE] == _INNER + _RANGE
    isWhole = data[4:8] == (len(data) - 8).to_bytes(4, "big", signed=True)
    if not isOurs or not isWhole or not unpacking.eof or unpacking.unused_data:
        raise ValueError


_READERS: Mapping[str, Callable[[Any, str], Iterator[StoredResult]]] = {
    "ping": _ping,
    "load": _load,
    "verify": _verify,
    "report": _report,
}
