"""
The result of a load as lines of text: its figures, its histogram, and the rates that it tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.load.ramp import RampStep
from echoproto.report.text import percentileLines, spreadLine
from echoproto.text.units import SECOND, counted, milliseconds, size

#: Characters of the longest bar; a whole line fits in 80 columns.
BAR_WIDTH = 40

#: The upper ends of the rows of a histogram, in nanoseconds.
_ENDS = [step * 10**power for power in range(3, 19) for step in (1, 2, 5)]


def loadLine(sent: int, received: int, wrong: int) -> str:
    """The progress of a load, in one line."""
    return f"{sent} sent, {received} received, {wrong} wrong"


def loadSummary(result: LoadResult) -> str:
    """The figures of a load, in several lines."""
    isConstant = result.plan.rate is not None and not result.plan.rates
    target = f" (target {result.plan.rate:.1f})" if isConstant else ""
    more = f", +{result.duplicates} duplicates" if result.duplicates else ""
    dropped = f"{result.dropped} dropped by the client, " if result.dropped else ""
    lines = [
        f"--- {result.target} load{_lostConnections(result, ': ')} ---",
        (
            f"{result.sent} sent, {result.received} received{more}, {result.lost} lost, {dropped}"
            f"{result.wrong} wrong, time {result.duration / 1e9:.3f} s"
        ),
        (
            f"{result.rate:.1f} exchanges/s{target}, {_rate(result.bytesSent, result)} out, "
            f"{_rate(result.bytesReceived, result)} in"
        ),
    ]
    least, most = result.plan.sizes
    sizes = counted(least, "byte") if least == most else f"{least} to {most} bytes"
    failed = _lostConnections(result, ", ")
    connections = counted(result.connected, "connection")
    lines.append(f"{connections}{failed}; messages of {sizes}")
    if result.connecting.count:
        lines.append(spreadLine("connect", result.connecting))
    lines += percentileLines(("response", result.response), ("service", result.service))
    lines += [
        f"{counted(count, 'time')}: {reason}" for reason, count in result.errors.most_common()
    ]
    lines += [f"replies are missing: {hint}" for hint in result.hints]
    lines += [f"limited by the client: {limit}" for limit in result.limits]
    return "\n".join(lines)


def _lostConnections(result: LoadResult, before: str) -> str:
    """The numbers of failed and lost connections, if there are any."""
    counts = ((result.connectFailures, "failed"), (result.disconnects, "lost"))
    words = ", ".join(f"{count} {word}" for count, word in counts if count)
    return f"{before}{words}" if words else ""


def _rate(count: int, result: LoadResult) -> str:
    return f"{size(count * 1e9 / result.duration if result.duration else 0.0)}/s"


def intervalLine(interval: Interval, width: int) -> str:
    """
    The rate and the times of a part of a load, in one line.

    :param width: its length, in nanoseconds.
    """
    rate = f"{interval.received * SECOND / width:.1f} exchanges/s"
    if interval.median is None or interval.p99 is None:
        return rate
    return f"{rate}, p50 {milliseconds(interval.median)} ms, p99 {milliseconds(interval.p99)} ms"


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


def heldRate(steps: Sequence[RampStep]) -> float:
    """The highest rate that was held; 0 if none was."""
    return max((step.rate for step in steps if not step.failures), default=0.0)


def rampLines(steps: Sequence[RampStep]) -> list[str]:
    """A line for each rate, and one for the highest that was held."""
    lines = [
        f"at {step.rate:.1f}/s: {intervalLine(step.counts.interval(0), step.width)}"
        f"{'; not held: ' if step.failures else ''}{', '.join(step.failures)}"
        for step in steps
    ]
    if lines:
        held = heldRate(steps)
        lines.append(f"highest rate that held: {held:.1f}/s" if held else "no rate was held")
    return lines
