"""``python -m benchmarks``: measures, prints, stores, and reports the kept and missed promises."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from benchmarks.build import BUILD, HERE, BenchmarkError, build
from benchmarks.competitors import OURS, baseAt
from benchmarks.measurement import MISSED, Row, RowResult, measureRow
from benchmarks.plot import plot
from benchmarks.processes import processors
from benchmarks.report import asJSON, asPage, asText, fromJSON, machine
from benchmarks.rows import allRows

_EXAMPLES = """examples:
  python -m benchmarks --quick                  the six main rows in about two minutes
  python -m benchmarks --only TLS --only UDP    rows whose names begin with TLS or UDP
  python -m benchmarks --base ../main --keep    all rows, and write docs/performance.*"""


def main() -> int:
    """Measure; returns 1 if a promise is missed or our own program fails."""
    options = _parser().parse_args()
    processors()
    build()
    prefixes = tuple(options.only or [""])
    table = allRows(baseAt(options.base))
    rows = [row for row in table if row.name.startswith(prefixes)]
    rows = [row for row in rows if row.headline or not options.quick]
    if options.list:
        print(*(row.name for row in rows), sep="\n")
        return 0
    seconds = options.seconds or (0.5 if options.quick else 1.5)
    results = []
    for row in rows:
        results.append(measureRow(row, options.rounds, seconds, options.quick))
        print(asText(results[-1]), flush=True)
    _store(results, table, options.keep)
    return _summarize(results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure echo servers side by side.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="measure only the six main rows")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds of each row [5]")
    parser.add_argument(
        "--seconds", type=float, help="duration of each measurement [1.5; with --quick 0.5]"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only rows whose names begin with NAME"
    )
    parser.add_argument(
        "--base", type=Path, metavar="PATH", help="compare with the server of another checkout"
    )
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument(
        "--keep", action="store_true", help="store the results in docs/performance.*"
    )
    return parser


def _store(results: list[RowResult], table: list[Row], isKept: bool) -> None:
    """
    Write the results.

    :param table: all rows; if the results are kept, others stay as they were measured before.
    """
    folder = HERE.parent / "docs" if isKept else BUILD
    path = folder / "performance.json"
    # A path of this machine would tell a reader nothing.
    words = [
        "PATH" if "/" in word else f"'{word}'" if " " in word else word for word in sys.argv[1:]
    ]
    command = " ".join(["python -m benchmarks", *words])
    if isKept and len(results) < len(table):
        before = json.loads(path.read_text())
        if before["machine"] != machine():
            raise BenchmarkError(f"--keep: {path.name} is of another machine; measure all rows")
        command = f"{before['command']}` and `{command}"
        measured = {result.row.name: result for result in (*fromJSON(before, table), *results)}
        results = [measured[row.name] for row in table if row.name in measured]
    path.write_text(json.dumps(asJSON(results, command), indent=1) + "\n")
    (folder / "performance.md").write_text(asPage(results, command) + "\n")
    plot(results, folder / "performance.svg")
    print(f"stored in {folder}/performance.*")


def _summarize(results: list[RowResult]) -> int:
    verdicts = Counter(
        promise.verdict.split(":")[0] for result in results for promise in result.promises()
    )
    print("promises:", ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()))
    failed = [result.row.name for result in results if OURS in result.missing]
    for name in failed:
        print(f"not measured: {name}")
    return 1 if verdicts[MISSED] or failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
