"""``python -m benchmarks``: measures, prints, stores, and reports the kept and missed promises."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.build import BUILD, HERE, build
from benchmarks.clientrows import clientRows
from benchmarks.plot import plot
from benchmarks.processes import BenchmarkError
from benchmarks.report import RowResult, asJSON, asPage, asText
from benchmarks.rows import Row, serverRows

_EXAMPLES = """examples:
  python -m benchmarks --quick                 all rows in a few minutes, roughly
  python -m benchmarks --only TLS --only UDP    rows whose names begin with TLS or UDP
  python -m benchmarks --keep                  all rows, and write docs/performance.*"""


def main() -> int:
    """Measure; returns 1 if a promise is missed."""
    options = _parser().parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    prefixes = tuple(options.only or [""])
    rows = [row for row in (*serverRows(), *clientRows()) if row.name.startswith(prefixes)]
    if options.list:
        print(*(row.name for row in rows), sep="\n")
        return 0
    for name, reason in build().items():
        print(f"not measured: {name}: {reason}")
        rows = [row for row in rows if name != "tls" or not row.name.startswith("TLS")]
    results = [_measure(row, options.rounds, options.seconds) for row in rows]
    _store(results, HERE.parent / "docs" if options.keep else BUILD)
    kept = [promise.kept for result in results for promise in result.promises()]
    print(f"{sum(kept)} promises kept, {len(kept) - sum(kept)} missed")
    return 0 if all(kept) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure echo servers side by side.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="measure one short round")
    parser.add_argument("--rounds", type=int, default=5, help="number of rounds of each row [5]")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="duration of each measurement [1.5]"
    )
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="only rows whose names begin with NAME"
    )
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument(
        "--keep", action="store_true", help="write docs/performance.md, .json and .svg"
    )
    return parser


def _measure(row: Row, rounds: int, seconds: float) -> RowResult:
    result = RowResult(row, [row.measure(seconds) for _ in range(rounds)])
    print(asText(result), flush=True)
    return result


def _store(results: list[RowResult], folder: Path) -> None:
    (folder / "performance.json").write_text(json.dumps(asJSON(results), indent=1) + "\n")
    (folder / "performance.md").write_text(asPage(results, "python -m benchmarks --keep") + "\n")
    plot(results, folder / "performance.svg")
    print(f"stored in {folder}/performance.*")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchmarkError as error:
        sys.exit(f"benchmarks: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
