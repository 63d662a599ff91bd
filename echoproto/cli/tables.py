"""
Tables by rich: on a terminal as wide as it is; as plain lines in a pipe or a file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from echoproto.report.table import Column

# No cell is cut, however narrow a terminal is: half a figure would be a wrong one.
_ENDLESS = 100_000


def tableText(stream: IO[str], names: Sequence[Column], *parts: Sequence[Column]) -> str:
    """
    A table as it is shown on a stream.

    :param names: the columns that tell what each row is.
    :param parts: the others; each of these has a table of its own where they do not fit a terminal beside each other.
    """
    terminal = Console(file=stream)
    whole = _table([*names, *(each for part in parts for each in part)])
    endless = terminal.options.update(width=_ENDLESS)
    isNarrow = (
        terminal.is_terminal and Measurement.get(terminal, endless, whole).maximum > terminal.width
    )
    tables = [_table([*names, *part]) for part in parts] if isNarrow else [whole]
    return "\n\n".join(_lines(each, terminal.is_terminal) for each in tables)


def _lines(table: Table, isTerminal: bool) -> str:
    # By way of memory: who reads the stream may be gone, of which rich would make an end of its own.
    text = io.StringIO()
    Console(file=text, width=_ENDLESS, force_terminal=isTerminal).print(table)
    return "\n".join(each.rstrip() for each in text.getvalue().splitlines())


def _table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for each in columns:
        table.add_column(Text(each.title), justify="left" if each.isWords else "right")
    for cells in zip(*(each.cells for each in columns), strict=True):
        # As they are: rich would read a markup of its own in them.
        table.add_row(*(Text(each) for each in cells))
    return table
