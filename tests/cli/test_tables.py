from __future__ import annotations

import io
import re
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.tables import tableText
from echoproto.report.table import Column

NAMES = [Column("target", ("lab1", "[red]laboratory[/red]"), True)]
COUNTS = [Column("sent", ("1", "1000"))]
TIMES = [Column("max", ("0.5", "12.5")), Column("is", ("well", ""), True)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TableTests(SynchronousTestCase):
    def table(self, stream: io.StringIO, columns: str) -> list[str]:
        # What rich asks of a terminal.
        with mock.patch.dict("os.environ", {"TERM": "xterm", "COLUMNS": columns, "LINES": "25"}):
            text = tableText(stream, NAMES, COUNTS, TIMES)
        return [each.rstrip() for each in re.sub("\x1b\\[[0-9]*m", "", text).splitlines()]

    def test_plain(self) -> None:
        """In a pipe it is plain lines, as long as they need to be, and a cell is shown as it is."""
        wanted = [
            "target                 sent   max  is",
            "lab1                      1   0.5  well",
            "[red]laboratory[/red]  1000  12.5",
        ]
        for columns in ("80", "20"):
            self.assertEqual(self.table(io.StringIO(), columns), wanted)
        self.assertEqual(self.table(Terminal(), "80"), wanted)

    def test_narrow(self) -> None:
        """On a terminal that is too narrow it becomes several; no cell is cut."""
        self.assertEqual(
            self.table(Terminal(), "30"),
            [
                "target                 sent",
                "lab1                      1",
                "[red]laboratory[/red]  1000",
                "",
                "target                  max  is",
                "lab1                    0.5  well",
                "[red]laboratory[/red]  12.5",
            ],
        )
