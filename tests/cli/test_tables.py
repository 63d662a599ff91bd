from __future__ import annotations

import io
import re
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.tables import tableText
from echoproto.report.table import Column
from tests.cli.commandcase import Terminal

NAMES = [Column("target", ("lab1", "[red]laboratory[/red]"), True)]
COUNTS = [Column("sent", ("1", "1000"))]
TIMES = [Column("max", ("0.5", "12.5")), Column("is", ("good", ""), True)]


class TableTests(SynchronousTestCase):
    def table(self, stream: io.StringIO, columns: str) -> list[str]:
        # The size of the terminal, for rich.
        with mock.patch.dict("os.environ", {"TERM": "xterm", "COLUMNS": columns, "LINES": "25"}):
            text = tableText(stream, NAMES, COUNTS, TIMES)
        return [line.rstrip() for line in re.sub("\x1b\\[[0-9]*m", "", text).splitlines()]

    def test_plain(self) -> None:
        """In a pipe it is plain lines of any length; a cell is not interpreted."""
        wanted = [
            "target                 sent   max  is",
            "lab1                      1   0.5  good",
            "[red]laboratory[/red]  1000  12.5",
        ]
        for columns in ("80", "20"):
            self.assertEqual(self.table(io.StringIO(), columns), wanted)
        self.assertEqual(self.table(Terminal(), "80"), wanted)

    def test_narrow(self) -> None:
        """On a terminal that is too narrow it is split into several tables; no cell is cut."""
        self.assertEqual(
            self.table(Terminal(), "36"),
            [
                "target                 sent",
                "lab1                      1",
                "[red]laboratory[/red]  1000",
                "",
                "target                  max  is",
                "lab1                    0.5  good",
                "[red]laboratory[/red]  12.5",
            ],
        )

    def test_narrower(self) -> None:
        """A group that is too wide itself is split too."""
        tables = "\n".join(self.table(Terminal(), "30")).split("\n\n")
        self.assertEqual(
            [table.splitlines()[0].split() for table in tables],
            [["target", "sent"], ["target", "max"], ["target", "is"]],
        )

    def test_styles(self) -> None:
        """On a terminal a cell may have a colour; a table without parts is not split."""
        with mock.patch.dict("os.environ", {"TERM": "xterm", "COLUMNS": "5", "LINES": "25"}):
            text = tableText(Terminal(), NAMES, styles={"lab1": "green"})
        self.assertIn("\x1b[32mlab1 ", text)
        self.assertIn("[red]laboratory[/red]", text)
