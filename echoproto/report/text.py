"""
A measurement in words, as ping writes them. Pure: called with values, returns lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.ping.plan import PingResult
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.units import milliseconds, size

#: Of why probes are lost, so many are told at the end.
REASONS = 3


def outcomeLine(target: str, seen: ProbeOutcome) -> str:
    """One line for what was seen."""
    if seen.sequence is None:
        return f"{seen.size} bytes from {target}: foreign: it answers no probe of ours"
    number = f"seq={seen.sequence + 1}"
    if seen.kind is OutcomeKind.LOST:
        return f"{target}: {number} lost: {seen.reason}"
    time = f"time={milliseconds(seen.time or 0)} ms"
    line = f"{seen.size} bytes from {target}: {number} {time}"
    if seen.kind is OutcomeKind.REPLY:
        return line
    detail = "" if seen.difference is None else f": {seen.difference}"
    return f"{line} {seen.kind.value}{detail}"


def pingLine(result: PingResult) -> str:
    """The figures so far, in one line."""
    record = result.record
    times = record.times
    spread = "/".join(milliseconds(each) for each in (times.minimum, times.mean, times.maximum))
    return (
        f"{result.target}: {record.received}/{record.sent} received, {record.lossRatio * 100:.2f} % lost, "
        f"min/avg/max = {spread} ms"
    )


def pingSummary(result: PingResult) -> str:
    """All of it, some lines."""
    record = result.record
    lines = [f"--- {result.target} echo statistics ---", _counts(record, result.duration)]
    if record.times.count:
        lines += _times(record)
    if result.connecting.count:
        lines.append(_spread("connect", result.connecting))
    if result.securing.count:
        lines.append(_spread("TLS handshake", result.securing))
    if record.lost and record.reasons:
        lines.append(f"lost: {'; '.join(record.reasons[:REASONS])}")
    return "\n".join(lines)


def verifyLine(result: VerifyResult) -> str:
    """How far it has come, in one line."""
    faults = result.counts.total()
    return f"{size(result.received)}, {size(result.rate)}/s, {faults} faults"


def verifySummary(result: VerifyResult) -> str:
    """What became of a stream, some lines."""
    lines = [
        f"--- {result.target} integrity ---",
        f"{result.sent} bytes sent, {result.received} received, {result.duration / 1e9:.3f} s, {size(result.rate)}/s",
        ", ".join(f"{count} {kind.value}" for kind, count in result.counts.items())
        or _unharmed(result),
    ]
    if result.ending:
        lines.append(f"ended early: {result.ending}")
    return "\n".join(lines)


def _unharmed(result: VerifyResult) -> str:
    if not result.received:
        return "no byte came back"
    underWay = result.sent - result.received
    if underWay:
        return f"every byte that came back was right; {underWay} were under way"
    return "every byte came back as it was sent"


def loadLine(sent: int, received: int, wrong: int) -> str:
    """How far a load has come, in one line."""
    return f"{sent} sent, {received} received, {wrong} wrong"


def loadSummary(result: LoadResult) -> str:
    """What became of a load, some lines."""
    seconds = result.duration / 1e9
    wanted = "" if result.plan.rate is None else f" of {result.plan.rate:.1f} asked for"
    more = f", +{result.duplicates} duplicates" if result.duplicates else ""
    lines = [
        f"--- {result.target} load ---",
        f"{result.sent} sent, {result.received} received{more}, {result.lost} lost, {result.wrong} wrong, time {seconds:.3f} s",
        f"{result.rate:.1f} exchanges/s{wanted}, {_rate(result.bytesSent, result)} out, {_rate(result.bytesReceived, result)} in",
    ]
    spreads = [("response", result.response), ("service", result.service)]
    shown = [(name, spread) for name, spread in spreads if spread.count]
    if shown:
        lines.append(f"{'':9}{_titles()}   (ms, n={shown[0][1].count})")
        lines += [f"{name:9}{_values(spread)}" for name, spread in shown]
    lines += [f"{count} times: {why}" for why, count in result.errors.most_common()]
    lines += [f"the client was the limit: {each}" for each in result.limits]
    return "\n".join(lines)


def checkRows(result: ConformanceResult, quiet: bool = False) -> list[tuple[str, ...]]:
    """
    What came of each check, as rows: its carrier, its name, the verdict and why.

    :param quiet: whether only those that failed have one.
    """
    return [
        (each.check.carrier, each.check.name, each.verdict.value, _why(each))
        for each in result.results
        if each.verdict is CheckVerdict.FAILED or not quiet
    ]


def _why(grade: CheckResult) -> str:
    failed = grade.verdict is CheckVerdict.FAILED
    return f"{grade.reason} ({grade.check.source})" if failed else grade.reason


def verdictCounts(result: ConformanceResult) -> str:
    """How many checks have each verdict, in one line."""
    return ", ".join(f"{result.count(each)} {each.value}" for each in CheckVerdict)


def columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines, in which all but the last cell are as wide as the widest of their column."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)][:-1]
    return [
        "  ".join(
            [*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in rows
    ]


def _rate(count: int, result: LoadResult) -> str:
    return f"{size(count * 1e9 / result.duration if result.duration else 0.0)}/s"


def _titles() -> str:
    return "".join(f"{each:>9}" for each in ["min", *PERCENTILES, "max"])


def _values(times: LatencyHistogram) -> str:
    values = [times.minimum, *times.percentiles(*PERCENTILES.values()), times.maximum]
    return "".join(f"{milliseconds(each):>9}" for each in values)


def _counts(record: PingStatistics, duration: int) -> str:
    counts = record.counts
    parts = [f"{record.sent} sent", f"{record.received} received"]
    parts += [
        f"+{counts[kind]} {name}"
        for kind, name in (
            (OutcomeKind.DUPLICATE, "duplicates"),
            (OutcomeKind.CORRUPT, "corrupted"),
            (OutcomeKind.FOREIGN, "foreign"),
        )
        if counts[kind]
    ]
    parts.append(f"{record.lost} lost{_bursts(record)}")
    parts += [
        f"{counts[kind]} {kind.value}"
        for kind in (OutcomeKind.LATE, OutcomeKind.REORDERED)
        if counts[kind]
    ]
    return f"{', '.join(parts)}, time {duration / 1e9:.3f} s"


def _bursts(record: PingStatistics) -> str:
    bursts = record.bursts()
    if not bursts:
        return " (0.00 %)"
    word = "burst" if len(bursts) == 1 else "bursts"
    return f" ({record.lossRatio * 100:.2f} %, {len(bursts)} {word}, longest {max(bursts)})"


def _times(record: PingStatistics) -> list[str]:
    times = record.times
    lines = [
        _spread("rtt", times),
        f"   {_titles()}   (ms, n={times.count})",
        f"   {_values(times)}",
    ]
    if record.variation.count:
        ipdv = record.variation
        lines.append(
            f"delay variation avg/p99/max = {milliseconds(ipdv.mean)}/{milliseconds(ipdv.percentile(99))}/"
            f"{milliseconds(ipdv.maximum)} ms, jitter {milliseconds(record.jitter)} ms"
        )
    return lines


def _spread(name: str, times: LatencyHistogram) -> str:
    values = (times.minimum, times.mean, times.maximum, times.deviation)
    return f"{name} min/avg/max/mdev = {'/'.join(milliseconds(each) for each in values)} ms"
