"""
The run of ``echoproto report``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import chain
from typing import IO

import click

from echoproto.cli.exitcodes import ASSERTION_FAILED, LOCAL_ERROR, OK, complain
from echoproto.cli.output import LineOutput, ResultView, ResultWriter, Values, opened
from echoproto.cli.outputfile import OutputFile, openProblem
from echoproto.cli.report import ReportOptions
from echoproto.cli.sessions.session import failedAssertions
from echoproto.cli.tables import tableText
from echoproto.errors import ReportError
from echoproto.report.compare import Comparison, compare
from echoproto.report.documents.comparison import comparisonDocument, comparisonRows
from echoproto.report.documents.report import reportDocument, resultFigures, resultRows
from echoproto.report.loader import ENCODING, readResults, readStream
from echoproto.report.merge import mergeResults
from echoproto.report.notes import descriptionNotes, resultNotes
from echoproto.report.result import StoredResult
from echoproto.report.schema import jsonSchema
from echoproto.report.table import certaintyNotes, comparisonColumns, resultColumns, sides
from echoproto.text.untrusted import escaped


def runReport(options: ReportOptions) -> int:
    """Show the files, or a schema; returns the exit status."""
    try:
        return printSchema(options) if options.schema else report(options)
    except ReportError as error:
        complain(f"echoproto report: {error}")
        return LOCAL_ERROR


@dataclass(frozen=True)
class ReportContent:
    """What a report shows: the results, or their comparisons if there are any."""

    results: Sequence[StoredResult]
    comparisons: Sequence[Comparison] = field(default=())

    def rows(self) -> Sequence[Values]:
        """Its values, for CSV."""
        return comparisonRows(self.comparisons) if self.comparisons else resultRows(self.results)


def _read(path: str) -> list[StoredResult]:
    if path != "-":
        return readResults(path)
    try:
        with click.open_file(path, encoding=ENCODING) as stream:
            return readStream(stream, "standard input")
    except OSError as error:
        raise ReportError(f"standard input: {error.strerror}") from error


def _content(files: Sequence[list[StoredResult]], options: ReportOptions) -> ReportContent:
    results = list(chain.from_iterable(files))
    if options.compare:
        return ReportContent(results, [compare(*pair) for pair in _pairs(files)])
    return ReportContent([mergeResults(results)] if options.merge else results)


def report(options: ReportOptions) -> int:
    """
    Read the files, and write what is asked for.

    :return: the exit status.
    :raise ReportError: a file is invalid, or cannot be read or written.
    """
    content = _content([_read(path) for path in options.files], options)
    saved: tuple[tuple[str | None, Callable[[ReportContent], bytes]], ...] = (
        (options.html, _html),
        (options.png, _png),
        (options.csv, _csv),
    )
    for path, make in saved:
        if path is not None:
            _save(path, make(content))
    if "-" in (options.html, options.png, options.csv):
        # The standard output has one content.
        return _checked(content, options)
    # Opened only now that all files are read: it may be one of them.
    with opened(options.out) as stream:
        status = _write(stream, _lines(options.output, content, stream))
    return status or _checked(content, options)


def _checked(content: ReportContent, options: ReportOptions) -> int:
    """Report the assertions that do not hold; returns the exit status."""
    failures = [
        f"{result.target}: {failure}"
        for result in content.results
        for failure in failedAssertions(options.assertions, resultFigures(result))
    ]
    for failure in failures:
        complain(f"echoproto report: {failure}")
    return ASSERTION_FAILED if failures else OK


def printSchema(options: ReportOptions) -> int:
    """Print the JSON schema of a document; returns the exit status."""
    with opened(options.out) as stream:
        return _write(stream, [json.dumps(jsonSchema(options.schema or ""), indent=2)])


def _pairs(files: Sequence[list[StoredResult]]) -> list[tuple[StoredResult, StoredResult]]:
    """The pairs to compare: results of two files with the same target, or the two of one file."""
    if len(files) == 1 and len(files[0]) == 2:
        return [(files[0][0], files[0][1])]
    if len(files) == 2:
        before, after = files
        if len(before) == len(after) == 1:
            return [(before[0], after[0])]
        if sorted(map(_target, before)) == sorted(map(_target, after)):
            # Results with the same target are paired in their order.
            return list(zip(sorted(before, key=_target), sorted(after, key=_target), strict=True))
    found = ", ".join(" and ".join(map(_target, file)) for file in files)
    raise ReportError(
        "--compare needs two files with one target each or with the same targets, or one file with "
        f"two targets; found {found}"
    )


def _target(result: StoredResult) -> str:
    return result.target


def _lines(form: str, content: ReportContent, stream: IO[str]) -> Iterator[str]:
    """The lines of a format, as they are shown on a stream."""
    writer = ResultWriter(form, ReportView(stream))
    for row in content.rows():
        yield from writer.event(row)
    yield from writer.result(content)


def _write(stream: IO[str], lines: Iterable[str]) -> int:
    """Write lines of output; returns the exit status."""
    status = OK

    def failed(reason: str) -> None:
        nonlocal status
        if reason:
            status = LOCAL_ERROR
            complain(f"echoproto report: {reason}")

    LineOutput(stream, failed).writeResult(lines)
    return status


class ReportView(ResultView[Values, ReportContent]):
    """
    A table of the results, or of their comparisons.

    :param stream: the destination.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def resultLines(self, result: ReportContent) -> Iterable[str]:
        """See :class:`.ResultView`."""
        if not result.comparisons:
            yield tableText(self._stream, *resultColumns(result.results))
            yield from descriptionNotes(result.results)
            yield from resultNotes(result.results)
        for index, comparison in enumerate(result.comparisons):
            if index:
                yield ""
            table = tableText(self._stream, *comparisonColumns(comparison))
            yield "\n".join([*sides(comparison), "", table, *certaintyNotes(comparison)])

    def eventValues(self, event: Values) -> Values:
        """See :class:`.ResultView`."""
        return event

    def document(self, result: ReportContent) -> Values:
        """See :class:`.ResultView`."""
        if result.comparisons:
            return comparisonDocument(result.comparisons)
        return reportDocument(result.results)


def _csv(content: ReportContent) -> bytes:
    return "".join(f"{line}\n" for line in _lines("csv", content, sys.stdout)).encode()


def _html(content: ReportContent) -> bytes:
    _needPlot("--html")
    from echoproto.report.figures import svgPictures
    from echoproto.report.html import page

    return page(content.results, svgPictures(content.results), content.comparisons).encode()


def _png(content: ReportContent) -> bytes:
    _needPlot("--png")
    from echoproto.report.figures import pngPicture

    picture = pngPicture(content.results)
    if not picture:
        raise ReportError("--png: nothing to plot; no result has times")
    return picture


def _needPlot(name: str) -> None:
    if find_spec("matplotlib") is None:
        raise ReportError(f"{name} needs matplotlib; in a clone: pip install -e '.[plot]'")


def _save(path: str, content: bytes) -> None:
    try:
        if path == "-":
            # Without a reader, as that of ``head``, this ends silently, as any output does.
            fileno = os.dup(sys.stdout.fileno())
            with suppress(BrokenPipeError), os.fdopen(fileno, "wb") as stream:
                stream.write(content)
            return
        with OutputFile(path) as file:
            file.buffer.write(content)
            file.keep()
    except OSError as error:
        raise ReportError(f"{escaped(path)}: cannot write: {openProblem(path, error)}") from error
