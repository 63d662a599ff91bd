"""
A report as a self-contained page of HTML: no other files, no scripts, no network.

All text from files is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from echoproto import __version__
from echoproto.report.charts import COLOURS
from echoproto.report.compare import Comparison
from echoproto.report.figures import Picture
from echoproto.report.notes import descriptionNotes, resultNotes
from echoproto.report.result import StoredResult
from echoproto.report.table import Column, certaintyNotes, comparisonColumns, resultColumns, sides

# The content security policy enforces that the page needs nothing else.
_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { --ink: #1a1b1e; --faint: #63666d; --paper: #ffffff; --card: #f6f7f9; --line: #dfe1e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e7ea; --faint: #9a9ea8; --paper: #131417; --card: #1c1e22; --line: #32353c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem;
  color: var(--ink); background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p, footer { color: var(--faint); margin: .5rem 0; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--card); }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .75rem; text-align: right; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
tr + tr > td { border-top: 1px solid var(--line); }
.words { text-align: left; }
.mark { display: inline-block; width: .75rem; height: .75rem; border-radius: .2rem;
  margin-right: .5rem; }
.pictures { display: grid; gap: 1rem; margin: 1.5rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: 1rem; border: 1px solid var(--line); border-radius: .6rem;
  background: var(--card); }
figcaption { font-weight: 600; margin-bottom: .5rem; }
svg { display: block; width: 100%; height: auto; }
@media print { figure, .wide { break-inside: avoid; } }
</style>
</head>
<body>
<h1>$title</h1>
$tables
$comparisons
$pictures
<footer>echoproto $version</footer>
</body>
</html>
""")


def page(
    results: Sequence[StoredResult],
    pictures: Sequence[Picture],
    comparisons: Sequence[Comparison] = (),
) -> str:
    """
    The page.

    :param results: a row each.
    :param pictures: their charts.
    :param comparisons: their comparisons, if there are any.
    """
    return _PAGE.substitute(
        title=escape(_title(results)),
        tables=_results(results) + _resultNotes(results),
        pictures=_pictures(pictures) + _notes(results),
        comparisons="\n".join(map(_comparison, comparisons)),
        version=escape(__version__),
    )


def _title(results: Sequence[StoredResult]) -> str:
    targets = list(dict.fromkeys(result.target for result in results))
    more = len(targets) - 2
    names = " and ".join(targets[:2]) if more <= 0 else f"{targets[0]} and {more + 1} more"
    return f"Echo of {names}"


def _results(results: Sequence[StoredResult]) -> str:
    """A table of the times, which most readers look for, and one of the counts."""
    names, counts, times = resultColumns(results)
    marks = _marks(results)
    tables = [_table([*names, *counts], marks)]
    if any(result.measured for result in results):
        tables.insert(0, _table([*names, *times], marks))
    return "\n<br>\n".join(tables)


def _marks(results: Sequence[StoredResult]) -> list[str]:
    """A mark for each result in the colour of its charts."""
    colours = [*COLOURS, *["transparent"] * len(results)]
    drawn = [
        colour if result.measured else "transparent"
        for colour, result in zip(colours, results, strict=False)
    ]
    return [f'<span class="mark" style="background: {colour}"></span>' for colour in drawn]


def _table(columns: Sequence[Column], marks: Sequence[str]) -> str:
    head = "".join(_cell("th", column, column.title) for column in columns)
    rows = [
        "".join(
            _cell("td", column, cell, mark if column is columns[0] else "")
            for column, cell in zip(columns, cells, strict=True)
        )
        for mark, *cells in zip(marks, *(column.cells for column in columns), strict=True)
    ]
    body = "\n".join(f"<tr>{row}</tr>" for row in (head, *rows))
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def _cell(kind: str, column: Column, text: str, mark: str = "") -> str:
    words = ' class="words"' if column.isWords else ""
    return f"<{kind}{words}>{mark}{escape(text)}</{kind}>"


def _pictures(pictures: Sequence[Picture]) -> str:
    figures = "\n".join(
        f"<figure><figcaption>{escape(picture.title)}</figcaption>\n{picture.svg}</figure>"
        for picture in pictures
    )
    return f'<div class="pictures">\n{figures}\n</div>' if figures else ""


def _notes(results: Sequence[StoredResult]) -> str:
    notes = []
    if len(results) > len(COLOURS):
        notes.append(f"The charts show the first {len(COLOURS)} of {len(results)} results.")
    if any(result.intervals for result in results):
        notes.append(
            "Times over the run: the line is the median of each interval, the band reaches from "
            "the minimum to the 99th percentile, and dots are maxima. If the probes are known, "
            "dots are replies and crosses are losses."
        )
    return "".join(f"\n<p>{note}</p>" for note in notes)


def _resultNotes(results: Sequence[StoredResult]) -> str:
    notes = (*descriptionNotes(results), *resultNotes(results))
    return "".join(f"\n<p>{escape(note)}</p>" for note in notes)


def _comparison(comparison: Comparison) -> str:
    compared = "<br>\n".join(map(escape, sides(comparison)))
    names, figures, verdicts = comparisonColumns(comparison)
    # The verdicts first, since a phone shows only the first columns.
    columns = [*names, *verdicts, *figures]
    marks = [""] * len(comparison.differences)
    certainty = "<br>\n".join(map(escape, certaintyNotes(comparison)))
    table = _table(columns, marks)
    return f"<h2>Comparison</h2>\n<p>{compared}</p>\n{table}\n<p>{certainty}</p>"
