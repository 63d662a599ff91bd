"""
Tables by rich: in the width of a terminal; as plain lines in a pipe or a file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import IO

from rich.console import Console
from rich.measure import Measurement as Width
from rich.table import Table
from rich.text import Text

from echoproto.report.table import Column

# No cell is cut, however narrow a terminal is: half a number would be a wrong one.
_UNLIMITED_WIDTH = 100_000

_NO_STYLES: Mapping[str, str] = {}


def tableText(
    stream: IO[str],
    names: Sequence[Column],
    *parts: Sequence[Column],
    styles: Mapping[str, str] = _NO_STYLES,
) -> str:
    """
    A table as it is shown on a stream.

    :param names: the columns that identify a row.
    :param parts: groups of other columns; if they do not all fit a terminal side by side, each
        group has a table of its own, or several.
    :param styles: colours of cells, by their text.
    """
    terminal = Console(file=stream)
    whole = _table([*names, *(column for part in parts for column in part)], styles)
    unlimited = terminal.options.update(width=_UNLIMITED_WIDTH)

    def isTooWide(table: Table) -> bool:
        return Width.get(terminal, unlimited, table).maximum > terminal.width

    tables = [whole]
    if terminal.is_terminal and parts and isTooWide(whole):
        tables = []
        for part in parts:
            shown: list[Column] = []
            for column in part:
                if shown and isTooWide(_table([*names, *shown, column], styles)):
                    tables.append(_table([*names, *shown], styles))
                    shown = []
                shown.append(column)
            tables.append(_table([*names, *shown], styles))
    return "\n\n".join(_lines(table, terminal.is_terminal) for table in tables)


def _lines(table: Table, isTerminal: bool) -> str:
    # Rendered in memory: rich ends the process itself if the reader of a stream is gone.
    text = io.StringIO()
    Console(file=text, width=_UNLIMITED_WIDTH, force_terminal=isTerminal).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _table(columns: Sequence[Column], styles: Mapping[str, str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(Text(column.title), justify="left" if column.isWords else "right")
    for cells in zip(*(column.cells for column in columns), strict=True):
        # As Text, in which rich interprets no markup.
        table.add_row(*(Text(cell, styles.get(cell, "")) for cell in cells))
    return table
