"""
The types of the values in documents, and the values that several documents have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from echoproto.measure.intervals import MAX_INTEGER, Count, Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.echoplus import LossDirections
from echoproto.report.documents.times import timesStruct
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND

#: Maximum length of a list of intervals. A load has an interval for each second.
MAX_STORED_INTERVALS = 1_000_000

Width = Annotated[int, Meta(ge=1, le=MAX_INTEGER)]
Number = Annotated[float, Meta(ge=0, le=MAX_INTEGER)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
Dropped = Annotated[
    Count, Meta(description="Replies that were dropped by the client's full receive buffers.")
]
ClientLimits = Annotated[
    list[str], Meta(description="Reasons why the client may have limited the figures.")
]
Options = Annotated[
    dict[str, bool | int | float | str | None],
    Meta(description="The options of the run; of merged results, those that are equal in all."),
]

#: The JSON names of fields, if they are others.
JSON_NAMES = {
    "at": "at_ns",
    "bytesReceived": "received_bytes",
    "bytesSent": "sent_bytes",
    "busy": "busy_ratio",
    "connectFailures": "connect_failures",
    "connecting": "connect",
    "deadline": "deadline_ns",
    "duration": "duration_ns",
    "errors": "connection_errors",
    "interval": "interval_ns",
    "jitter": "jitter_ns",
    "length": "length_bytes",
    "limits": "client_limits",
    "longest": "longest_burst",
    "lossRatio": "loss_ratio",
    "offset": "offset_bytes",
    "options": "configuration",
    "plan": "configuration",
    "rate": "rate_per_second",
    "securing": "handshake",
    "size": "size_bytes",
    "timeout": "timeout_ns",
    "warmup": "warmup_ns",
    "width": "interval_ns",
}

_Values = TypeVar("_Values", bound=Struct)


class Values(Struct, frozen=True, kw_only=True, rename=JSON_NAMES):
    """The base of all structs."""


Intervals = Annotated[
    list[Interval],
    Meta(max_length=MAX_STORED_INTERVALS, description="The run in intervals, without gaps."),
]
IntervalWidth = Annotated[
    Width | None, Meta(description="Width of the intervals; null without intervals.")
]


def checkWidth(width: int | None, intervals: Sequence[Interval]) -> None:
    """Raise ``ValueError`` if intervals have no width."""
    if intervals and width is None:
        raise ValueError("missing width of the intervals")


def valuesOf(kind: type[_Values], *sources: object, **values: object) -> _Values:
    """
    A struct of the attributes of objects that are called as its fields, and of other values.

    :param values: fields with another value, or without an attribute.
    """
    fields: Any = dict(values)
    for source in sources:
        for name in kind.__struct_fields__:
            if name not in fields and hasattr(source, name):
                fields[name] = _fieldValue(getattr(source, name))
    return kind(**fields)


def _fieldValue(value: object) -> object:
    if isinstance(value, LatencyHistogram):
        return timesStruct(value)
    return list(value) if isinstance(value, tuple) else value


def plainValues(values: Struct) -> dict[str, Any]:
    """A struct as plain values for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(values)
    return plain


def directionFigures(sent: int, lost: LossDirections) -> dict[str, float]:
    """The figures of losses by direction for assertions, by name."""
    return {
        "lost-up": lost.up,
        "lost-down": lost.down,
        "lost-unsent": lost.unsent,
        "lost-unknown": lost.unknown,
        "loss-up": lost.up / sent if sent else 0.0,
        "loss-down": lost.down / sent if sent else 0.0,
    }


def storedOf(values: Struct, name: str, **fields: object) -> StoredResult:
    """
    The stored result of the fields of a struct that are called as its attributes, and of others.

    :param name: the name of the file.
    :param fields: attributes with another value, or without a field.
    """
    known: Any = {
        field.name: getattr(values, field.name)
        for field in dataclasses.fields(StoredResult)
        if hasattr(values, field.name)
    }
    duration = known["duration"]
    known.update(
        files=(name,),
        rate=known["received"] * SECOND / duration if duration else 0.0,
        width=known.get("width") or 0,
        intervals=tuple(known.get("intervals", ())),
    )
    return StoredResult(**{**known, **fields})
