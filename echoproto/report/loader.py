"""
Loads the output of ``ping``, ``load``, ``verify`` and ``report``: a JSON document of any of them,
or the NDJSON of ``ping`` and ``load``. An invalid file is reported in one line.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from os import PathLike, fspath
from typing import IO

import msgspec

from echoproto.errors import ReportError
from echoproto.measure.intervals import Interval
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.report.decoder import (
    InvalidDocument,
    decodeResults,
    decodeTarget,
    decodeValues,
)
from echoproto.report.documents.probe import ProbeValues
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND
from echoproto.text.untrusted import escaped, openRegularFile

#: Some editors put a byte order mark before the text.
ENCODING = "utf-8-sig"

#: Maximum number of characters of a document, or of a line of NDJSON. No measurement is longer.
MAX_LENGTH = 1 << 26

#: Maximum number of probes of a target that are kept for charts; otherwise the intervals are shown.
MAX_PROBES = 2000


class _Line(msgspec.Struct):
    """The fields that identify a line of NDJSON."""

    type: str
    command: str | None = None


def readResults(path: str | PathLike[str]) -> list[StoredResult]:
    """
    Read a file.

    :return: a result for each target.
    :raise ReportError: it cannot be read, or is invalid.
    """
    try:
        with io.TextIOWrapper(openRegularFile(path), encoding=ENCODING) as stream:
            return readStream(stream, fspath(path))
    except OSError as error:
        raise ReportError(f"{escaped(fspath(path))}: {error.strerror}") from error


def readStream(stream: IO[str], name: str) -> list[StoredResult]:
    """
    Read an open file.

    :param name: its name, for messages and in the results.
    :return: a result for each target.
    :raise ReportError: it is invalid.
    :raise OSError: it cannot be read.
    """
    name = escaped(name)
    try:
        found = list(_results(stream, name))
        if not found:
            raise InvalidDocument("no results")
    except InvalidDocument as error:
        raise ReportError(f"{name}: {error}; {error.remedy}") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{name}: not a text file; is it the right file?") from error
    return found


def _results(stream: IO[str], name: str) -> Iterator[StoredResult]:
    first = stream.readline(MAX_LENGTH)
    if not first:
        raise InvalidDocument("empty file")
    if _isLine(first):
        lines = chain([first], iter(lambda: stream.readline(MAX_LENGTH), ""))
        yield from _lines(lines, name)
        return
    text = first + stream.read(MAX_LENGTH)
    if len(text) > MAX_LENGTH:
        raise InvalidDocument("longer than any measurement", "is it the right file?")
    yield from decodeResults(text, name)


def _isLine(first: str) -> bool:
    """Whether this is a line of NDJSON, not the beginning of a document."""
    try:
        decodeValues(first, _Line)
    except InvalidDocument:
        return False
    return True


def _lines(lines: Iterator[str], name: str) -> Iterator[StoredResult]:
    reader = _LineReader(name)
    for number, line in enumerate(lines, 1):
        try:
            yield from reader.read(line)
        except InvalidDocument as error:
            raise InvalidDocument(f"line {number}: {error}", error.remedy) from None
    reader.close()


class _LineReader:
    """Reads NDJSON: the probes or the intervals of a run, then a summary of each target."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._probes: dict[str, _Probes] = {}
        self._intervals: list[Interval] = []

    def read(self, line: str) -> Sequence[StoredResult]:
        """Read a line; returns the results that it completes."""
        kind = decodeValues(line, _Line)
        if kind.type == "interval":
            self._intervals.append(decodeValues(line, Interval))
        elif kind.type == "probe":
            probe = decodeValues(line, ProbeValues)
            self._probes.setdefault(escaped(probe.target), _Probes()).add(probe)
        elif kind.command is not None:
            return [self._withIntervals(result) for result in decodeResults(line, self._name)]
        else:
            result = decodeTarget(line, self._name)
            probes = self._probes.pop(result.target, _Probes())
            return [replace(result, probes=probes.outcomes())]
        return ()

    def close(self) -> None:
        """Check that each run has its summary."""
        missing = next(iter(self._probes), "the run" if self._intervals else None)
        if missing is not None:
            raise InvalidDocument(
                f"no summary of {missing}", "end a run with Ctrl-C, so that it writes one"
            )

    def _withIntervals(self, result: StoredResult) -> StoredResult:
        intervals, self._intervals = tuple(self._intervals), []
        return replace(result, width=SECOND, intervals=intervals) if intervals else result


class _Probes:
    """The outcomes of the probes of a target, up to a limit."""

    def __init__(self) -> None:
        self._bySequence: dict[int, tuple[int, int | None]] = {}

    def add(self, probe: ProbeValues) -> None:
        if len(self._bySequence) > MAX_PROBES or probe.kind is OutcomeKind.DUPLICATE:
            return
        # A foreign reply has no number. A late reply replaces the loss of its probe.
        if probe.sequence is not None:
            self._bySequence[probe.sequence] = probe.at, probe.time

    def outcomes(self) -> tuple[tuple[int, int | None], ...]:
        outcomes = self._bySequence.values()
        if len(outcomes) > MAX_PROBES:
            return ()
        return tuple(sorted(outcomes, key=lambda outcome: outcome[0]))
