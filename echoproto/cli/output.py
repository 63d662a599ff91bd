"""
Where results are written, and in which format: text for people; JSON, NDJSON and CSV for programs.

A command describes its events and its result in a :class:`ResultView`, a :class:`ResultWriter`
makes lines of them, and :class:`LineOutput` writes these.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Generic, TypeVar

import click

from echoproto.cli.exitcodes import discardOutput
from echoproto.cli.outputfile import OutputFile, openProblem

_Event = TypeVar("_Event")
_Result = TypeVar("_Result")

#: The values of an event or a result, by name.
Values = Mapping[str, object]


class ResultView(Generic[_Event, _Result]):
    """
    The events and the result of one command, for all formats; a command overrides what it has.

    :cvar eventType: the ``type`` of an event in NDJSON.
    """

    eventType = "event"

    def eventLines(self, event: _Event) -> Iterable[str]:
        """An event as text."""
        return ()

    def resultLines(self, result: _Result) -> Iterable[str]:
        """The result as text."""
        return ()

    def eventValues(self, event: _Event) -> Values:
        """An event for NDJSON and CSV."""
        return {}

    def document(self, result: _Result) -> Values:
        """The result for JSON."""
        return {}

    def summaries(self, result: _Result) -> Iterable[Values]:
        """The result for NDJSON, without the events."""
        return (self.document(result),)


class ResultWriter(Generic[_Event, _Result]):
    """
    Makes the lines of a format: ``text``; ``json``, a document at the end; ``ndjson``, a line of
    JSON for each event and for each summary; ``csv``, a row for each event below the names of the
    columns. A format that only one command has is that of its ``resultLines``.

    :param view: of the command.
    """

    def __init__(self, form: str, view: ResultView[_Event, _Result]) -> None:
        self._form = form
        self._view = view
        self._hasColumns = False

    def heading(self, line: str) -> Iterable[str]:
        """The line before any event."""
        return (line,) if self._form == "text" else ()

    def event(self, event: _Event) -> Iterable[str]:
        """The lines of an event."""
        if self._form == "text":
            yield from self._view.eventLines(event)
        elif self._form == "ndjson":
            yield json.dumps({"type": self._view.eventType, **self._view.eventValues(event)})
        elif self._form == "csv":
            values = self._view.eventValues(event)
            if not self._hasColumns:
                self._hasColumns = True
                yield _row(values)
            yield _row(values.values())

    def result(self, result: _Result) -> Iterable[str]:
        """The lines at the end."""
        if self._form == "json":
            yield json.dumps(self._view.document(result), indent=2)
        elif self._form == "ndjson":
            for values in self._view.summaries(result):
                yield json.dumps({"type": "summary", **values})
        elif self._form != "csv":
            yield from self._view.resultLines(result)


def _row(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


@contextmanager
def opened(path: str | None) -> Iterator[IO[str]]:
    """
    A file to write to; the standard output without a path, or for ``-``.

    :raise click.UsageError: it cannot be written to.
    """
    if path is None or path == "-":
        yield sys.stdout
        return
    try:
        file = OutputFile(path)
    except OSError as error:
        raise click.UsageError(f"--out {path}: {openProblem(path, error)}") from error
    with file:
        yield file


#: What becomes of a result whose file cannot be written.
_ELSEWHERE = "; the result is on the standard output instead"


class LineOutput:
    """
    Writes lines to a stream until that fails.

    :param onFailure: called once then, with the reason; with an empty one if the reader is gone, as
        ``head`` may be, which must not be reported.
    """

    def __init__(self, stream: IO[str], onFailure: Callable[[str], None]) -> None:
        self.stream = stream
        self._onFailure = onFailure
        self._hasFailed = False

    def write(self, lines: Iterable[str]) -> None:
        """Write lines, and flush each."""
        if self._hasFailed:
            return
        try:
            for line in lines:
                print(line, file=self.stream, flush=True)
        except OSError as error:
            isFile = isinstance(self.stream, OutputFile)
            self._failed(error, _ELSEWHERE if isFile else "; the rest of the output is lost")

    def writeResult(self, lines: Iterable[str], isEmpty: bool = False) -> None:
        """
        Write the lines of the result. A file replaces an earlier one; if it cannot be written, the
        lines are written to the standard output instead.

        :param isEmpty: whether nothing was measured, so that an earlier file stays.
        """
        result = list(lines)
        self.write(result)
        file = self.stream
        if not isinstance(file, OutputFile):
            return
        if not (isEmpty or self._hasFailed):
            try:
                file.keep()
            except OSError as error:
                self._failed(error, "" if file.isRescued else _ELSEWHERE)
        if self._hasFailed and not file.isRescued:
            LineOutput(sys.stdout, lambda reason: None).write(result)

    def _failed(self, error: OSError, loss: str) -> None:
        self._hasFailed = True
        if self.stream is sys.stdout:
            discardOutput()
        readerIsGone = isinstance(error, BrokenPipeError)
        self._onFailure("" if readerIsGone else f"cannot write: {error.strerror}{loss}")
