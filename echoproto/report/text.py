"""
Results of ping and verify as lines of text, in the form of ping(8).
"""

from __future__ import annotations

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.echoplus import EchoPlusStatistics, LossDirections
from echoproto.measure.ping.plan import PingResult
from echoproto.measure.ping.statistics import EXCESS, OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.text.units import counted, milliseconds, size

#: Maximum number of reasons of losses in a summary.
MAX_REASONS = 3


def outcomeLine(target: str, outcome: ProbeOutcome) -> str:
    """The line of a reply or a loss."""
    received = f"{counted(outcome.size, 'byte')} from {target}"
    if outcome.sequence is None:
        return f"{received}: foreign: {outcome.reason or 'no reply to a probe of this run'}"
    number = f"seq={outcome.sequence + 1}"
    if outcome.kind is OutcomeKind.LOST:
        return f"{target}: {number} lost: {outcome.reason}"
    line = f"{received}: {number} time={milliseconds(outcome.time or 0)} ms"
    if outcome.kind is OutcomeKind.REPLY:
        return line
    detail = "" if outcome.difference is None else f": {outcome.difference}"
    return f"{line} {outcome.kind.value}{detail}"


def pingLine(result: PingResult) -> str:
    """The figures of a ping so far, in one line."""
    record = result.record
    times = record.times
    spread = "/".join(milliseconds(time) for time in (times.minimum, times.mean, times.maximum))
    return (
        f"{result.target}: {record.received}/{record.sent} received, "
        f"{record.lossRatio * 100:.2f} % lost, min/avg/max = {spread} ms"
    )


def pingSummary(result: PingResult) -> str:
    """The figures of a ping, in several lines."""
    record = result.record
    lines = [f"--- {result.target} echo statistics ---", _counts(record, result.duration)]
    if record.times.count:
        lines += _times(record)
    if result.connecting.count:
        lines.append(spreadLine("connect", result.connecting))
    if result.securing.count:
        lines.append(spreadLine("TLS handshake", result.securing))
    if isinstance(record, EchoPlusStatistics):
        lines += _directions(record)
    if record.lost and record.reasons:
        reasons = [reason for reason, _ in record.reasons.most_common(MAX_REASONS)]
        lines.append(f"lost: {'; '.join(reasons)}")
    if record.excess:
        lines.append(f"wrong bytes: {EXCESS}, {counted(record.excess, 'time')}")
    lines += [f"limited by the client: {limit}" for limit in result.limits]
    return "\n".join(lines)


def _directions(record: EchoPlusStatistics) -> list[str]:
    """What the replies of a UDPEchoPlus server show."""
    if record.echoed and not record.serverTimes.count:
        return [f"no UDPEchoPlus: {counted(record.echoed, 'reply')} only echoed"]
    lines = []
    if record.lost:
        lines.append(directionsLine(record.directions))
    if impossible := record.impossible:
        lines.append(f"{impossible} server times are longer than the round trip, and left out")
    if record.serverTimes.count:
        lines.append(spreadLine("server time", record.serverTimes))
        lines.append(spreadLine("rtt without it", record.networkTimes))
    return lines


def directionsLine(lost: LossDirections) -> str:
    """The losses by direction, in one line."""
    failed = f", {lost.unsent} not sent by the server" if lost.unsent else ""
    others = f", {lost.unknown} in an unknown direction" if lost.unknown else ""
    return f"direction: {lost.up} lost to the server, {lost.down} from the server{failed}{others}"


def verifyLine(result: VerifyResult) -> str:
    """The progress of a verification, in one line."""
    faults = result.counts.total()
    return f"{size(result.received)}, {size(result.rate)}/s, {counted(faults, 'fault')}"


def verifySummary(result: VerifyResult) -> str:
    """The figures of a verification, in several lines."""
    faults = ", ".join(f"{count} {kind.value}" for kind, count in result.counts.items())
    lines = [
        f"--- {result.target} integrity ---",
        (
            f"{counted(result.sent, 'byte')} sent, {result.received} received, "
            f"{result.duration / 1e9:.3f} s, {size(result.rate)}/s"
        ),
        faults or _faultless(result),
    ]
    if result.ending:
        lines.append(f"ended early: {result.ending}")
    return "\n".join(lines)


def _faultless(result: VerifyResult) -> str:
    if not result.received:
        return "no data received"
    underWay = result.sent - result.received
    if underWay:
        return f"all received bytes are correct; {underWay} were still under way"
    return "all bytes were echoed correctly"


def percentileLines(*rows: tuple[str, LatencyHistogram]) -> list[str]:
    """A table of percentiles, with a row for each histogram that is not empty."""
    shown = [(name, times) for name, times in rows if times.count]
    if not shown:
        return []
    cells = [["", *shown[0][1].quantiles()]]
    cells += [[name, *map(milliseconds, times.quantiles().values())] for name, times in shown]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    heads, *lines = [
        "  ".join([f"{name:{widths[0]}}", *map(str.rjust, values, widths[1:])])
        for name, *values in cells
    ]
    return [f"{heads}  (ms, n={shown[0][1].count})", *lines]


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
    if record.dropped:
        parts.append(f"{record.dropped} dropped by the client")
    parts += [
        f"{counts[kind]} {kind.value}"
        for kind in (OutcomeKind.LATE, OutcomeKind.REORDERED)
        if counts[kind]
    ]
    return f"{', '.join(parts)}, time {duration / 1e9:.3f} s"


def _bursts(record: PingStatistics) -> str:
    bursts = record.bursts()
    if not bursts.count:
        return " (0.00 %)"
    word = "burst" if bursts.count == 1 else "bursts"
    share = f"{record.lossRatio * 100:.2f} %"
    return f" ({share}, {bursts.count} {word}, longest {bursts.longest})"


def _times(record: PingStatistics) -> list[str]:
    times, variation = record.times, record.variation
    lines = [spreadLine("rtt", times), *percentileLines(("", times))]
    if variation.count:
        values = (variation.mean, variation.percentile(99), variation.maximum)
        lines.append(
            f"delay variation avg/p99/max = {'/'.join(map(milliseconds, values))} ms, "
            f"jitter {milliseconds(record.jitter)} ms"
        )
    return lines


def spreadLine(name: str, times: LatencyHistogram) -> str:
    """The extremes, the mean and the deviation of times, in one line."""
    values = (times.minimum, times.mean, times.maximum, times.deviation)
    return f"{name} min/avg/max/mdev = {'/'.join(map(milliseconds, values))} ms"
