"""
Values from a file of which nothing is known: each is checked as it is taken, so that what comes after may rely on it.

Used by :mod:`.loader`; it knows no format.
"""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

from echoproto.escape import escaped
from echoproto.measure.latency import LatencyHistogram

#: No count and no time is larger: histograms have room for 62 bits.
MOST = (1 << 62) - 1

REMEDY = "measure again, with -o json --out FILE"

# What HdrHistogram's V2 encoding begins with where Spread has made it, and the bytes that its buckets may take: nine each.
_OUTER = struct.pack(">I", 0x1C849314)
_INNER = struct.pack(">I", 0x1C849313)
_RANGE = struct.pack(">IIQQd", 0, 3, 1, 3_600_000_000_000, 1.0)
_HEADER = 40
_LONGEST = _HEADER + 9 * 40_000


class InvalidDocument(ValueError):
    """
    It is not what it should be.

    :param message: what is wrong.
    :ivar remedy: what may help.
    """

    def __init__(self, message: str, remedy: str = REMEDY) -> None:
        super().__init__(message)
        self.remedy = remedy


class JSONObject:
    """
    An object of JSON.

    :param values: what should be one.
    :param name: what it is called when something is wrong with it.
    :raise Unfit: it is none. So do all methods where there is no such value.
    """

    def __init__(self, values: object, name: str = "") -> None:
        if not isinstance(values, dict):
            raise InvalidDocument(f"{name or 'it'} is no object")
        self._values: dict[str, Any] = values
        self._name = name

    def has(self, name: str) -> bool:
        """Whether there is a value of this name, and not null."""
        return self._values.get(name) is not None

    def count(self, name: str) -> int:
        """A whole number of 0 or more."""
        value = self._values.get(name)
        if type(value) is not int or not 0 <= value <= MOST:
            raise self._unfit(name, "whole number")
        return value

    def perhaps(self, name: str) -> int | None:
        """A whole number; ``None`` where there is none."""
        return self.count(name) if self.has(name) else None

    def number(self, name: str) -> float:
        """Any number of 0 or more."""
        value: Any = self._values.get(name)
        # What is not a number, as JSON has it, is not in this range either.
        if type(value) not in (int, float) or not 0 <= value <= MOST:
            raise self._unfit(name, "number")
        return float(value)

    def text(self, name: str) -> str:
        """A text; what cannot be printed is escaped, so that it does nothing to a terminal."""
        return escaped(self._text(name))

    def inner(self, name: str) -> JSONObject:
        """An object in it."""
        return JSONObject(self._values.get(name), self._called(name))

    def items(self, name: str, most: int) -> list[JSONObject]:
        """The objects of a list, of which there are so many at most."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise self._unfit(name, f"list of {most} at most")
        return [
            JSONObject(each, f"{self._called(name)}[{number}]") for number, each in enumerate(value)
        ]

    def spread(self, name: str) -> LatencyHistogram:
        """Times as :meth:`LatencyHistogram.state` tells of them."""
        inner = self.inner(name)
        count, least, most = (inner.count(each) for each in ("count", "min_ns", "max_ns"))
        total, squares = inner._digits("sum_ns"), inner._digits("squares_ns2")
        if not (
            least <= most
            and count * least <= total <= count * most
            and total * total <= count * squares <= count * total * most
        ):
            raise InvalidDocument(f"the figures of {self._called(name)} do not fit together")
        checkHistogram(inner._text("histogram"), inner._called("histogram"))
        try:
            made = LatencyHistogram.restored(inner._values)
        except (ValueError, IndexError, OverflowError):
            raise inner._unfit("histogram", "histogram") from None
        if sum(each for _, _, each in made.buckets()) != count:
            raise InvalidDocument(
                f"the histogram of {self._called(name)} has not as many as it should"
            )
        return made

    def _text(self, name: str) -> str:
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self._unfit(name, "text")
        return value

    def _digits(self, name: str) -> int:
        text = self._text(name)
        # As many as the squares of the largest times may have.
        if not text.isascii() or not text.isdigit() or len(text) > 60:
            raise self._unfit(name, "number in digits")
        return int(text)

    def _called(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _unfit(self, name: str, what: str) -> InvalidDocument:
        said = "is no" if name in self._values else "is missing; it should be a"
        return InvalidDocument(f"{self._called(name)} {said} {what}")


def checkHistogram(text: str, name: str) -> None:
    """
    Check that a histogram is one that :class:`LatencyHistogram` has written, before it is decoded: nobody knows how long it would become.

    :raise Unfit: it is not.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
        unpacking = zlib.decompressobj()
        inner = unpacking.decompress(data[8:], _LONGEST)
    except (ValueError, zlib.error):
        raise InvalidDocument(f"{name} is no histogram") from None
    # The four bytes between are a length that nobody reads.
    known = data[:4] == _OUTER and inner[:4] + inner[8:_HEADER] == _INNER + _RANGE
    isWhole = data[4:8] == (len(data) - 8).to_bytes(4, "big", signed=True)
    if not known or not isWhole or not unpacking.eof or unpacking.unused_data:
        raise InvalidDocument(f"{name} is no histogram of times as we write them")
