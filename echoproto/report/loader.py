"""
Reads what ``ping``, ``load``, ``verify`` and ``report`` have saved: a JSON document of any of them, or the NDJSON of ``ping`` and ``load``.

Called by ``echoproto report``, and by programs. Whatever a file has, it is read or refused in one line (:mod:`.validation`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from os import PathLike, fspath
from typing import IO, Any

from echoproto.errors import ReportError
from echoproto.escape import escaped
from echoproto.measure.intervals import Interval
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.report.decoder import restored, restoredInterval, restoredTarget
from echoproto.report.result import StoredResult
from echoproto.report.validation import InvalidDocument, JSONObject
from echoproto.units import SECOND

#: Characters of a document, or of a line of NDJSON, at most. No measurement is as long, and one that never ends is not waited for.
LONGEST = 1 << 26

#: Probes of a target that are kept one by one, to be drawn; of more, the intervals are.
PROBES = 2000


def readResults(path: str | PathLike[str]) -> list[StoredResult]:
    """
    Read a file.

    :return: a result for each target.
    :raise ReportError: it cannot be read, or is no measurement.
    """
    try:
        # Some editors put a mark before the text.
        with open(path, encoding="utf-8-sig") as stream:
            return readStream(stream, fspath(path))
    except OSError as error:
        raise ReportError(f"{escaped(fspath(path))}: {error.strerror}") from error


def readStream(stream: IO[str], name: str) -> list[StoredResult]:
    """
    Read what is open already.

    :param name: what it is called where something is wrong, and in the results.
    :return: a result for each target.
    :raise ReportError: it is no measurement.
    :raise OSError: it cannot be read.
    """
    name = escaped(name)
    try:
        found = list(_results(stream, name))
        if not found:
            raise InvalidDocument("it has no results")
    except InvalidDocument as error:
        raise ReportError(f"{name}: {error}; {error.remedy}") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{name}: it is no text; is it the right file?") from error
    return found


def _results(stream: IO[str], name: str) -> Iterator[StoredResult]:
    first = stream.readline(LONGEST)
    if not first:
        raise InvalidDocument("it is empty")
    if _isLine(first):
        lines = chain([first], iter(lambda: stream.readline(LONGEST), ""))
        yield from _lines(lines, name)
        return
    text = first + stream.read(LONGEST)
    if len(text) > LONGEST:
        raise InvalidDocument("it is longer than any measurement", "is it the right file?")
    yield from restored(JSONObject(_parsed(text)), name)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidDocument(f"it is no JSON, or was cut ({where})") from None
    except (ValueError, RecursionError):
        raise InvalidDocument("it is no JSON of ours") from None


def _isLine(first: str) -> bool:
    """Whether this is a line of NDJSON, and not the beginning of a document."""
    try:
        values = _parsed(first)
    except InvalidDocument:
        return False
    return isinstance(values, dict) and "type" in values


def _lines(lines: Iterator[str], name: str) -> Iterator[StoredResult]:
    """Of each run the probes come first, or the seconds, then a summary of each target."""
    probes: dict[str, _Probes] = {}
    seconds: list[Interval] = []
    for number, line in enumerate(lines, 1):
        fields = JSONObject(_parsedLine(line, number), f"line {number}")
        kind = fields.text("type")
        if kind == "interval":
            seconds.append(restoredInterval(fields))
        elif kind == "probe":
            probes.setdefault(fields.text("target"), _Probes()).add(fields)
        elif fields.has("command"):
            # A document, save for what was told already.
            yield from (_with(seconds, each) for each in restored(fields, name))
            seconds = []
        else:
            seen = probes.pop(fields.text("target"), _Probes()).seen()
            yield replace(restoredTarget(fields, name), probes=seen)
    missing = next(iter(probes), "the run" if seconds else None)
    if missing is not None:
        said = f"there is no summary of {missing}"
        raise InvalidDocument(said, "end it with Ctrl-C, so that it writes one")


def _with(seconds: Sequence[Interval], result: StoredResult) -> StoredResult:
    return replace(result, width=SECOND, intervals=tuple(seconds)) if seconds else result


def _parsedLine(line: str, number: int) -> Any:
    try:
        return _parsed(line)
    except InvalidDocument:
        raise InvalidDocument(f"line {number} is no JSON, or was cut") from None


class _Probes:
    """The probes of a target, as they were seen, until they are too many."""

    def __init__(self) -> None:
        self._bySequence: dict[int, tuple[int, int | None]] = {}

    def add(self, probe: JSONObject) -> None:
        sequence, time = probe.perhaps("seq"), probe.perhaps("rtt_ns")
        if len(self._bySequence) > PROBES or probe.text("kind") == OutcomeKind.DUPLICATE.value:
            return
        # A foreign reply is of no probe; one that was lost may be answered later.
        if sequence is not None:
            self._bySequence[sequence] = probe.count("at_ns"), time

    def seen(self) -> tuple[tuple[int, int | None], ...]:
        found = self._bySequence.values()
        return () if len(found) > PROBES else tuple(sorted(found, key=lambda each: each[0]))
