"""``python -m benchmarks``: measures, prints, stores, and says which promises are kept."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.building import BUILD, HERE, build
from benchmarks.clients import clientRows
from benchmarks.plot import plot
from benchmarks.report import Measured, asJSON, asPage, asText
from benchmarks.rows import Row, rows
from benchmarks.running import Trouble

_EXAMPLES = """examples:
  python -m benchmarks --quick                 all rows in some minutes, roughly
  python -m benchmarks --only TLS --only UDP    rows whose names begin so
  python -m benchmarks --keep                  all rows, and write docs/performance.*"""


def main() -> int:
    """Measure; returns 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure echo servers side by side.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each row [5]")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement [1.5]")
    parser.add_argument("--only", action="append", metavar="NAME", help="rows whose names begin so")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument(
        "--keep", action="store_true", help="write docs/performance.md, .json and .svg"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    all_ = [*rows(), *clientRows()]
    chosen = [each for each in all_ if each.name.startswith(tuple(options.only or [""]))]
    if options.list:
        print(*(each.name for each in chosen), sep="\n")
        return 0
    for name, why in build().items():
        print(f"not measured: {name}: {why}")
        chosen = [each for each in chosen if name != "tls" or not each.name.startswith("TLS")]
    measured = [_measured(row, options.rounds, options.seconds) for row in chosen]
    _store(measured, HERE.parent / "docs" if options.keep else BUILD)
    missed = sum(not one.kept for each in measured for one in each.kept())
    print(f"{sum(len(each.kept()) for each in measured) - missed} promises kept, {missed} missed")
    return 1 if missed else 0


def _measured(row: Row, rounds: int, seconds: float) -> Measured:
    measured = Measured(row, [row.measure(seconds) for _ in range(rounds)])
    print(asText(measured), flush=True)
    return measured


def _store(all_: list[Measured], folder: Path) -> None:
    (folder / "performance.json").write_text(json.dumps(asJSON(all_), indent=1) + "\n")
    (folder / "performance.md").write_text(asPage(all_, "python -m benchmarks --keep") + "\n")
    plot(all_, folder / "performance.svg")
    print(f"stored in {folder}/performance.*")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"benchmarks: {trouble}")
    except KeyboardInterrupt:
        sys.exit(130)
