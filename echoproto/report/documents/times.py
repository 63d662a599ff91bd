"""
A distribution of times in a document, which is checked before it is decoded.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from echoproto.measure.intervals import Count
from echoproto.measure.latency import LatencyHistogram

Time = Annotated[
    str,
    Meta(description="Date and time (ISO 8601).", extra_json_schema={"format": "date-time"}),
]

# 60 digits are enough for the sum of the squares of the longest times.
Digits = Annotated[
    str,
    Meta(
        pattern="^[0-9]+$",
        max_length=60,
        description="Decimal digits, since JSON numbers of this size are not exact.",
    ),
]

# The beginnings of the outer and the inner part of an HdrHistogram in the V2 encoding, with the
# parameters of LatencyHistogram, and the length of the inner part: 9 bytes for each bucket at most.
_OUTER = struct.pack(">I", 0x1C849314)
_INNER = struct.pack(">I", 0x1C849313)
_RANGE = struct.pack(">IIQQd", 0, 3, 1, 3_600_000_000_000, 1.0)
_HEADER_SIZE = 40
_MAX_INNER_SIZE = _HEADER_SIZE + 9 * 40_000


class TimesValues(Struct, frozen=True, kw_only=True):
    """A distribution of times; the figures of an empty one are 0."""

    count: Count
    min_ns: Count
    mean_ns: Count
    max_ns: Count
    mdev_ns: Annotated[Count, Meta(description="The standard deviation.")]
    p50_ns: Count
    p90_ns: Count
    p95_ns: Count = 0
    p99_ns: Count
    p999_ns: Count = field(name="p99.9_ns")
    sum_ns: Digits
    squares_ns2: Digits
    histogram: Annotated[
        str,
        Meta(
            description="An HdrHistogram of nanoseconds in the V2 encoding, compressed, in Base64."
        ),
    ]

    def __post_init__(self) -> None:
        total, squares = int(self.sum_ns), int(self.squares_ns2)
        if not (
            self.min_ns <= self.max_ns
            and self.count * self.min_ns <= total <= self.count * self.max_ns
            and total * total <= self.count * squares <= self.count * total * self.max_ns
        ):
            raise ValueError("the figures contradict each other")


def timesStruct(times: LatencyHistogram) -> TimesValues:
    """The struct of a histogram."""
    return msgspec.convert(times.state(), TimesValues)


def timeFigures(times: LatencyHistogram) -> dict[str, float]:
    """The figures of a histogram for assertions, by name; none if it is empty."""
    if not times.count:
        return {}
    return {**times.quantiles(), "avg": times.mean, "mdev": times.deviation}


def decodeOtherTimes(path: str, **times: TimesValues) -> dict[str, LatencyHistogram]:
    """Decode the histograms that are not empty, by the names of their fields."""
    return {
        name: decodeTimes(values, f"{path}{name}") for name, values in times.items() if values.count
    }


def decodeTimes(times: TimesValues, path: str) -> LatencyHistogram:
    """
    Decode a histogram, with its figures.

    :param path: its field, for the message.
    :raise ValueError: it is not as :class:`LatencyHistogram` writes it.
    """
    try:
        checkHistogram(times.histogram)
        restored = LatencyHistogram.restored(msgspec.to_builtins(times))
        if sum(count for _, _, count in restored.buckets()) != times.count:
            raise ValueError
    except (ValueError, IndexError, OverflowError):
        raise ValueError(f"{path}.histogram: invalid histogram") from None
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
