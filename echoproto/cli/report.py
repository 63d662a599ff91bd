"""
``echoproto report``: reads saved results, merges and compares them, and shows them as tables, pictures and values.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click

from echoproto.cli.exitcodes import LOCAL_ERROR, OK
from echoproto.cli.options import CONTEXT, Grouped, option
from echoproto.cli.output import OUTPUT, Guarded, opened, outputOptions
from echoproto.cli.tables import tableText
from echoproto.errors import ReportError
from echoproto.escape import printable
from echoproto.report.compare import Comparison, compare
from echoproto.report.export import (
    comparisonRows,
    comparisonValues,
    reportValues,
    resultRows,
)
from echoproto.report.loader import readStream
from echoproto.report.merge import mergeResults
from echoproto.report.result import StoredResult
from echoproto.report.table import comparisonColumns, resultColumns, sides

_WHAT = "What is done"

_EPILOG = """\b
FILE is what ping, load or verify wrote with -o json, what ping or load wrote with -o ndjson, or what
report wrote with -o json; - is the standard input.

\b
Examples:
  echoproto report monday.json tuesday.json
  echoproto report --merge lab*.json -o json --out all.json   as if one had measured it all
  echoproto report --compare before.json after.json           more than noise?
  echoproto report --html report.html run.json

\b
Exit status: 0 well, 2 usage, or a file that cannot be read or written.
"""


@click.command("report", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@option(_WHAT, "--merge", is_flag=True, help="Add all results, exactly.")
@option(_WHAT, "--compare", "isCompared", is_flag=True, help="Say what differs by more than noise.")
@option(OUTPUT, "--html", metavar="FILE", help="Write a page with pictures there, too.")
@option(OUTPUT, "--png", metavar="FILE", help="Write the pictures there, too.")
@option(OUTPUT, "--csv", metavar="FILE", help="Write the rows there, too.")
@outputOptions("text", "json", "csv")
def report(files: Sequence[str], **given: Any) -> int:
    """Read saved results: show, merge, compare and draw them."""
    if given["merge"] and given["isCompared"]:
        raise click.UsageError("--merge makes one result, and --compare takes two")
    try:
        return _report([_read(each) for each in files], given)
    except ReportError as error:
        click.echo(f"echoproto report: {error}", err=True)
        return LOCAL_ERROR


def _read(path: str) -> list[StoredResult]:
    try:
        # Some editors put a mark before the text.
        with click.open_file(path, encoding="utf-8-sig") as stream:
            return readStream(stream, "standard input" if path == "-" else path)
    except OSError as error:
        raise ReportError(f"{printable(path)}: {error.strerror}") from error


def _report(files: Sequence[list[StoredResult]], given: dict[str, Any]) -> int:
    results = list(chain.from_iterable(files))
    comparisons = [compare(*each) for each in _pairs(files)] if given["isCompared"] else []
    if given["merge"]:
        results = [mergeResults(results)]
    for name, make in (("html", _html), ("png", _png), ("csv", _csv)):
        if given[name] is not None:
            _save(given[name], make(results, comparisons))
    # Now that all files are read, one of them may be written.
    with opened(given["out"]) as stream:
        return _show(stream, _FORMS[given["output"]](stream, results, comparisons))


def _pairs(files: Sequence[list[StoredResult]]) -> list[tuple[StoredResult, StoredResult]]:
    """What is compared with what: one result each of two files, or each target with itself; or the two of one file."""
    if len(files) == 1 and len(files[0]) == 2:
        return [(files[0][0], files[0][1])]
    if len(files) == 2:
        before, after = files
        if len(before) == len(after) == 1:
            return [(before[0], after[0])]
        if sorted(map(_target, before)) == sorted(map(_target, after)):
            # Of two with one name the first is compared with the first.
            return list(zip(sorted(before, key=_target), sorted(after, key=_target), strict=True))
    raise ReportError(
        "--compare takes two files with one target each, or with the same targets, or one with two; here are "
        + ", ".join(" and ".join(each.target for each in file) for file in files)
    )


def _target(result: StoredResult) -> str:
    return result.target


def _show(stream: IO[str], text: str) -> int:
    status = OK

    def failed(reason: str) -> None:
        nonlocal status
        if reason:
            status = LOCAL_ERROR
            click.echo(f"echoproto report: {reason}", err=True)

    Guarded(failed)(lambda: print(text, file=stream, flush=True))
    return status


def _text(
    stream: IO[str], results: Sequence[StoredResult], comparisons: Sequence[Comparison]
) -> str:
    if not comparisons:
        return tableText(stream, *resultColumns(results))
    return "\n\n".join(
        "\n".join([*sides(each), "", tableText(stream, *comparisonColumns(each))])
        for each in comparisons
    )


def _json(
    stream: IO[str], results: Sequence[StoredResult], comparisons: Sequence[Comparison]
) -> str:
    values = comparisonValues(comparisons) if comparisons else reportValues(results)
    return json.dumps(values, indent=2)


def _rows(
    stream: IO[str], results: Sequence[StoredResult], comparisons: Sequence[Comparison]
) -> str:
    rows = comparisonRows(comparisons) if comparisons else resultRows(results)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


_FORMS: dict[str, Callable[[IO[str], Sequence[StoredResult], Sequence[Comparison]], str]] = {
    "text": _text,
    "json": _json,
    "csv": _rows,
}


def _csv(results: Sequence[StoredResult], comparisons: Sequence[Comparison]) -> bytes:
    return f"{_rows(io.StringIO(), results, comparisons)}\n".encode()


def _html(results: Sequence[StoredResult], comparisons: Sequence[Comparison]) -> bytes:
    _needPlot("--html")
    from echoproto.report.figures import svgPictures
    from echoproto.report.html import page

    return page(results, svgPictures(results), comparisons).encode()


def _png(results: Sequence[StoredResult], comparisons: Sequence[Comparison]) -> bytes:
    _needPlot("--png")
    from echoproto.report.figures import pngPicture

    picture = pngPicture(results)
    if not picture:
        raise ReportError("--png: there is nothing to draw; no result has any time")
    return picture


def _needPlot(option: str) -> None:
    if find_spec("matplotlib") is None:
        raise ReportError(f"{option} needs matplotlib; pip install 'echoproto[plot]'")


def _save(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise ReportError(f"{printable(path)}: cannot write: {error.strerror}") from error
