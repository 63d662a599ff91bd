"""
A latency histogram as lines of text, for a terminal.
"""

from __future__ import annotations

from collections import Counter

from echoproto.measure.latency import LatencyHistogram
from echoproto.units import milliseconds

#: Characters of the longest bar; a whole line fits in 80 columns.
BAR_WIDTH = 40

#: The upper ends of the rows, in nanoseconds.
_ENDS = [step * 10**power for power in range(3, 19) for step in (1, 2, 5)]


def histogramLines(times: LatencyHistogram) -> list[str]:
    """A row for each time of 1, 2 and 5 times a power of ten, from the shortest to the longest."""
    counts = Counter[int]()
    for lowest, _, count in times.buckets():
        counts[next(end for end in _ENDS if lowest <= end)] += count
    if not counts:
        return []
    rows = [end for end in _ENDS if min(counts) <= end <= max(counts)]
    largest = max(counts.values())
    return [
        f"<= {milliseconds(end):>11} ms {counts[end]:>9} {counts[end] / times.count:>7.2%}  "
        f"{'#' * -(-counts[end] * BAR_WIDTH // largest)}".rstrip()
        for end in rows
    ]
