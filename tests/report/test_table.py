from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.compare import compare
from echoproto.report.table import (
    Column,
    certaintyNotes,
    comparisonColumns,
    resultColumns,
    sides,
)
from echoproto.text.units import SECOND
from tests.report.sampleresults import sampleOrigin, storedResult, storedVerification


def cells(columns: Sequence[Column]) -> dict[str, tuple[str, ...]]:
    return {column.title: column.cells for column in columns}


class ResultTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """A row has the target, the counts and the times of a result."""
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
                ("in ms", "rtt"),
                ("min", "1.000"),
                ("p50", "2.001"),
                ("p90", "3.000"),
                ("p95", "3.000"),
                ("p99", "3.000"),
                ("p99.9", "3.000"),
                ("max", "3.000"),
            ],
        )
        self.assertEqual({found for _, found in cells(times).values()}, {"rtt", ""})

    def test_bytes(self) -> None:
        """A verification is shown in bytes, without times."""
        _, counts, times = resultColumns([storedVerification(received=1 << 20)])
        found = {title: cell for title, (cell,) in cells(counts).items()}
        self.assertEqual((found["sent"], found["lost"]), ("2.0 MiB", "1.0 MiB (50.00 %)"))
        self.assertEqual(found["rate"], "1.0 MiB/s")
        self.assertEqual({cell for (cell,) in cells(times).values()}, {""})

    def test_seen(self) -> None:
        """A kind of bad replies has a column if there are any; cells without a count are empty."""
        _, counts, _ = resultColumns(
            [storedResult(counts={"corrupt": 2, "late": 3}), storedVerification()]
        )
        found = cells(counts)
        self.assertEqual(found["corrupt"], ("2", ""))
        self.assertNotIn("wrong", found)
        self.assertNotIn("late", found)

    def test_files(self) -> None:
        """Rows of several files name them; a merged row names its first file."""
        names, _, _ = resultColumns([storedResult(), storedResult(files=("b", "c"))])
        self.assertEqual(cells(names)["file"], ("a.json", "b and 1 more"))

    def test_aligned(self) -> None:
        """Words are aligned left, numbers are not."""
        columns = [column for group in resultColumns([storedResult(1)]) for column in group]
        words = [column.title for column in columns if column.isWords]
        self.assertEqual(words, ["target", "command", "in ms"])


class ComparisonTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Each figure has its values with confidence intervals, and a verdict."""
        found = compare(storedResult(*[1] * 100), storedResult(*[2] * 100))
        names, figures, words = comparisonColumns(found)
        self.assertEqual(cells(names)["in ms"], ("p50", "p90", "p95", "p99", "p99.9", "loss"))
        a = cells(figures)["A"]
        self.assertEqual((a[0], a[4]), ("1.000 (1.000 to 1.000)", "1.000 (1.000 to ?)"))
        self.assertEqual(a[5], "10.00 %")
        self.assertEqual(cells(figures)["B/A"], ("2.000",) * 5 + ("1.000",))
        self.assertEqual(cells(words)["B is"][0], "significantly slower, by 100 %")

    def test_noRatio(self) -> None:
        """There is no ratio to 0, nor of a percentile that is missing."""
        none = storedResult(received=0, times=LatencyHistogram())
        _, (_, missing, ratio), _ = comparisonColumns(compare(storedResult(1), none))
        self.assertEqual((missing.cells[0], ratio.cells[0]), ("", ""))
        _, figures, _ = comparisonColumns(compare(storedResult(), storedResult(1)))
        self.assertEqual(cells(figures)["B/A"][0], "")

    def test_sides(self) -> None:
        """Each side has a line; dependent exchanges have an effective sample size."""
        self.assertEqual(
            sides(compare(storedResult(1), storedResult(files=("b",)))),
            [
                "A: udp://lab1:7, rtt of 1 exchanges (a.json)",
                "B: udp://lab1:7, rtt of 0 exchanges (b)",
            ],
        )
        a = storedResult(1, started="2026-01-01", options={"size_bytes": 64}, limits=("busy",))
        b = storedResult(1, options={"size_bytes": 100})
        first, _, *notes = sides(compare(a, b))
        self.assertIn("(a.json, 2026-01-01)", first)
        note = "udp://lab1:7 (a.json): limited by the client: busy"
        self.assertEqual(notes, ["warning: different options: size_bytes (64, 100)", note])
        hosts = storedResult(1, origins=(sampleOrigin("lab1"), sampleOrigin("lab2")))
        self.assertIn("(a.json, lab1, lab2)", sides(compare(hosts, hosts))[0])
        a = storedResult(1, 2, 3)
        line, _ = sides(replace(compare(a, a), effectiveSizes=(2, 3)))
        self.assertEqual(
            line, "A: udp://lab1:7, rtt of 3 exchanges, effective sample size 2 (a.json)"
        )

    def test_certaintyNotes(self) -> None:
        """How sure the verdicts are is said in words, and that few intervals make it less."""
        long = storedResult(1, intervals=tuple(Interval(n * SECOND, 1, 0) for n in range(8)))
        (line,) = certaintyNotes(compare(long, long))
        self.assertTrue(line.startswith("95% sure: if the servers are equal"), line)
        _, doubt = certaintyNotes(compare(long, storedResult(1)))
        self.assertTrue(doubt.startswith("Less sure: B has fewer than 8 intervals"), doubt)
