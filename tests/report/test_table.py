from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.compare import compare
from echoproto.report.table import Column, comparisonColumns, resultColumns, sides
from tests.report.sampleresults import storedResult, storedVerification


def cells(columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    return {each.title: each.cells for each in columns}


class ResultTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """A row tells whose it is, what became of what was sent, and how long that took."""
        names, counts, times = resultColumns([storedResult(1, 2, 3), storedResult()])
        self.assertEqual(cells(names), {"target": ("udp://lab1:7",) * 2})
        self.assertEqual(
            cells(counts),
            {
                "command": ("ping",) * 2,
                "sent": ("10",) * 2,
                "received": ("9",) * 2,
                "lost": ("1 (10.00 %)",) * 2,
                "rate": ("4.5/s",) * 2,
            },
        )
        self.assertEqual(
            [(title, found) for title, (found, _) in cells(times).items()],
            [
                ("times in ms", "rtt"),
                ("min", "1.000"),
                ("p50", "2.001"),
                ("p90", "3.000"),
                ("p99", "3.000"),
                ("p99.9", "3.000"),
                ("max", "3.000"),
            ],
        )
        self.assertEqual({found for _, found in cells(times).values()}, {"rtt", ""})

    def test_bytes(self) -> None:
        """Of a verification bytes are told."""
        _, counts, times = resultColumns([storedVerification(received=1 << 20)])
        found = {title: cell for title, (cell,) in cells(counts).items()}
        self.assertEqual((found["sent"], found["lost"]), ("2.0 MiB", "1.0 MiB (50.00 %)"))
        self.assertEqual(found["rate"], "1.0 MiB/s")
        self.assertEqual({cell for (cell,) in cells(times).values()}, {""})

    def test_seen(self) -> None:
        """What is wrong with replies has a column where there is any; it is empty where it is not counted."""
        _, counts, _ = resultColumns(
            [storedResult(counts={"corrupt": 2, "late": 3}), storedVerification()]
        )
        found = cells(counts)
        self.assertEqual(found["corrupt"], ("2", ""))
        self.assertNotIn("wrong", found)
        self.assertNotIn("late", found)

    def test_files(self) -> None:
        """Where there are several files each row names its own; a row of several the first."""
        names, _, _ = resultColumns([storedResult(), storedResult(files=("b", "c"))])
        self.assertEqual(cells(names)["file"], ("a.json", "b and 1 more"))

    def test_aligned(self) -> None:
        """Words are read from the left, numbers stand one above the other."""
        columns = [each for part in resultColumns([storedResult(1)]) for each in part]
        words = [each.title for each in columns if each.isWords]
        self.assertEqual(words, ["target", "command", "times in ms"])


class ComparisonTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each figure of both has where it may lie, and what can be said of it."""
        found = compare(storedResult(*[1] * 100), storedResult(*[2] * 100))
        names, figures, words = comparisonColumns(found)
        self.assertEqual(cells(names)["in ms"], ("p50", "p90", "p99", "p99.9", "loss"))
        a = cells(figures)["A"]
        self.assertEqual((a[0], a[3]), ("1.000 (1.000 to 1.000)", "1.000 (1.000 to ?)"))
        self.assertEqual(a[4], "10.00 %")
        self.assertEqual(cells(figures)["B/A"], ("2.000",) * 4 + ("1.000",))
        self.assertEqual(cells(words)["B is"][0], "slower by 100 %, more than noise")

    def test_noRatio(self) -> None:
        """Beside 0 there is no ratio."""
        _, figures, _ = comparisonColumns(compare(storedResult(), storedResult(1)))
        self.assertEqual(cells(figures)["B/A"][0], "")

    def test_sides(self) -> None:
        """It is told which is which."""
        self.assertEqual(
            sides(compare(storedResult(1), storedResult(files=("b",)))),
            [
                "A: udp://lab1:7, rtt of 1 exchanges (a.json)",
                "B: udp://lab1:7, rtt of 0 exchanges (b)",
            ],
        )
