"""
Where results are written, and in which format: text for people; JSON, NDJSON and CSV for programs.

A command describes its events and its result in a :class:`ResultView`, a writer makes lines of
them, and :class:`LineOutput` writes these.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import IO, Generic, TypeVar

import click

from echoproto.cli.outputfile import OutputFile

_Event = TypeVar("_Event")
_Result = TypeVar("_Result")

#: The values of an event or a result, by name.
Values = Mapping[str, object]


class ResultView(Generic[_Event, _Result]):
    """
    The events and the result of one command, for the writers; a command overrides what it has.

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


class TextWriter(Generic[_Event, _Result]):
    """
    Writes text, and is the base of the other formats.

    :param view: of the command.
    """

    def __init__(self, view: ResultView[_Event, _Result]) -> None:
        self.view = view

    def heading(self, line: str) -> Iterable[str]:
        """The line before any event."""
        return (line,)

    def event(self, event: _Event) -> Iterable[str]:
        """The lines of an event."""
        return self.view.eventLines(event)

    def result(self, result: _Result) -> Iterable[str]:
        """The lines at the end."""
        return self.view.resultLines(result)


class JSONWriter(TextWriter[_Event, _Result]):
    """One document at the end."""

    def heading(self, line: str) -> Iterable[str]:
        """Nothing."""
        return ()

    def event(self, event: _Event) -> Iterable[str]:
        """Nothing."""
        return ()

    def result(self, result: _Result) -> Iterable[str]:
        """The document."""
        yield json.dumps(self.view.document(result), indent=2)


class NDJSONWriter(JSONWriter[_Event, _Result]):
    """A line of JSON for each event, and for each summary at the end."""

    def event(self, event: _Event) -> Iterable[str]:
        """The line of an event."""
        yield json.dumps({"type": self.view.eventType, **self.view.eventValues(event)})

    def result(self, result: _Result) -> Iterable[str]:
        """The lines of the summaries."""
        for values in self.view.summaries(result):
            yield json.dumps({"type": "summary", **values})


class CSVWriter(JSONWriter[_Event, _Result]):
    """A row for each event, below a row with the names of the columns."""

    _hasHeader = False

    def event(self, event: _Event) -> Iterable[str]:
        """The row of an event."""
        values = self.view.eventValues(event)
        if not self._hasHeader:
            self._hasHeader = True
            yield _row(values)
        yield _row(values.values())

    def result(self, result: _Result) -> Iterable[str]:
        """Nothing."""
        return ()


#: The formats by name.
WRITERS: Mapping[str, type[TextWriter[object, object]]] = {
    "text": TextWriter,
    "json": JSONWriter,
    "ndjson": NDJSONWriter,
    "csv": CSVWriter,
}


def makeWriter(name: str, view: ResultView[_Event, _Result]) -> TextWriter[_Event, _Result]:
    """A writer of that format of :data:`WRITERS`; of text for a format of one command only."""
    kind: type[TextWriter[_Event, _Result]] = WRITERS.get(name, TextWriter)  # type: ignore[assignment]  # any view
    return kind(view)


def _row(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def startTime() -> str:
    """The date and time of a start (ISO 8601)."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


@contextmanager
def opened(path: str | None) -> Iterator[IO[str]]:
    """
    A file to write to; the standard output if there is no path, or ``-``.

    :raise click.UsageError: it cannot be written to.
    """
    if path is None or path == "-":
        yield sys.stdout
        return
    try:
        file = OutputFile(path)
    except OSError as error:
        raise click.UsageError(f"--out {path}: {error.strerror}") from error
    with file:
        yield file


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
            self._failed(error, "the rest of the output is lost")

    def keep(self) -> None:
        """What was written is a complete result: a file replaces an earlier one."""
        if isinstance(self.stream, OutputFile) and not self._hasFailed:
            try:
                self.stream.keep()
            except OSError as error:
                self._failed(error, "the result is lost")

    def _failed(self, error: OSError, loss: str) -> None:
        self._hasFailed = True
        readerIsGone = isinstance(error, BrokenPipeError)
        self._onFailure("" if readerIsGone else f"cannot write: {error.strerror}; {loss}")
