"""
Merges results of several machines or runs. The percentiles of the sum are exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgspec

from echoproto.errors import ReportError
from echoproto.measure.intervals import MAX_INTEGER, Interval, joined
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.notes import differentOptions, optionsNote
from echoproto.report.result import StoredResult
from echoproto.report.shares import missingShares, otherRemarks
from echoproto.text.units import SECOND, longTime, seconds

#: Share of the whole time in which all runs must be under way, for their rates to be added.
MIN_OVERLAP_SHARE = 0.9

#: Maximum number of intervals of a merged result, unless a run has as many.
MAX_MERGED_INTERVALS = 100_000

# Of more targets than this, only the number is shown.
_MAX_NAMES = 3


def mergeResults(results: Sequence[StoredResult]) -> StoredResult:
    """
    Merge results into one; a single result is returned unchanged.

    Histograms and counts are added, and so are rates if the runs overlap by the wall clock;
    otherwise the rate is that of the time from the first beginning to the last end, and a remark
    says so. Intervals are added where they overlap.

    :raise ReportError: there are no results, or they are of different kinds.
    """
    if not results:
        raise ReportError("nothing to merge")
    if len(results) == 1:
        return results[0]
    for result in results:
        checkSameKind(results[0], result, "merged")
    merged = _merged(results)
    _checkSums(merged)
    return merged


def _merged(results: Sequence[StoredResult]) -> StoredResult:
    first = results[0]
    different = differentOptions(results)
    duration, rate, doubts = _timing(results)
    width, intervals = _aligned(results)
    remarks = map(otherRemarks, results)
    files = tuple(chain.from_iterable(result.files for result in results))
    return StoredResult(
        files,
        first.command,
        _targets(results),
        sum(result.sent for result in results),
        sum(result.received for result in results),
        duration,
        rate,
        _added(result.counts for result in results),
        first.measured,
        _mergedTimes(result.times for result in results),
        width,
        intervals,
        otherTimes=_otherTimes(results),
        started=min((result.started for result in results if result.started), default=""),
        origins=tuple(chain.from_iterable(result.origins for result in results)),
        options={name: value for name, value in first.options.items() if name not in different},
        limits=_distinct(map(_limits, results)),
        reasons=+_added(result.reasons for result in results),
        remarks=_distinct(
            [*remarks, doubts, _repeated(results), missingShares(results), optionsNote(results)]
        ),
        parts=tuple(chain.from_iterable(result.parts or result.files for result in results)),
    )


def _added(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total = Counter[str]()
    for found in counts:
        total.update(found)
    return total


def _mergedTimes(histograms: Iterable[LatencyHistogram]) -> LatencyHistogram:
    times = LatencyHistogram()
    for found in histograms:
        times.merge(found)
    return times


def _otherTimes(results: Sequence[StoredResult]) -> dict[str, LatencyHistogram]:
    found = defaultdict[str, list[LatencyHistogram]](list)
    for result in results:
        for name, times in result.otherTimes.items():
            found[name].append(times)
    return {name: _mergedTimes(times) for name, times in found.items()}


def _checkSums(merged: StoredResult) -> None:
    """Refuse sums that could not be read again."""
    sums = [merged.sent, merged.received, merged.duration]
    sums += [*merged.counts.values(), *merged.reasons.values()]
    sums += [times.count for times in (merged.times, *merged.otherTimes.values())]
    sums += [max(interval.sent, interval.received) for interval in merged.intervals]
    if max(sums) > MAX_INTEGER:
        raise ReportError("the sums are too large; are the files damaged?")


def _timing(results: Sequence[StoredResult]) -> tuple[int, float, list[str]]:
    """The duration and the rate of all runs, and what makes them doubtful."""
    rate = sum(result.rate for result in results)
    spans = [result.span for result in results]
    known = [span for span in spans if span is not None]
    if len(known) < len(spans):
        unknown = _shortened(result.source for result in results if result.span is None)
        doubt = f"unknown when {unknown} began; the rate is the sum, as of runs at the same time"
        return max(result.duration for result in results), rate, [doubt]
    began, ended = zip(*known, strict=True)
    whole, common = max(ended) - min(began), min(ended) - max(began)
    if common >= MIN_OVERLAP_SHARE * whole:
        return whole, rate, []
    first, last = results[ended.index(min(ended))], results[began.index(max(began))]
    doubt = (
        f"the runs overlap for only {seconds(common)} of {seconds(whole)}"
        if common > 0
        else f"the runs do not overlap: {last.source} began {longTime(-common)} after "
        f"{first.source} had ended"
    )
    received = sum(result.received for result in results)
    return (
        whole,
        received * SECOND / whole,
        [f"{doubt}; the rate is not the sum of the rates, but that of these {longTime(whole)}"],
    )


def _aligned(results: Sequence[StoredResult]) -> tuple[int, tuple[Interval, ...]]:
    """The width and the intervals of all runs, added by the wall clock; none if some lack them."""
    spans = [result.span for result in results]
    began = min((span[0] for span in spans if span is not None), default=0)
    if None in spans or not all(result.intervals for result in results):
        return 0, ()
    placed = [
        (span[0] - began + interval.at + result.width // 2, interval)
        for result, span in zip(results, spans, strict=True)
        if span is not None
        for interval in result.intervals
    ]
    width = max(result.width for result in results)
    # Runs that are far apart have wider intervals, so that memory is bounded.
    width *= max(middle for middle, _ in placed) // (width * MAX_MERGED_INTERVALS) + 1
    slots = defaultdict[int, list[Interval]](list)
    for middle, interval in placed:
        slots[middle // width].append(interval)
    return width, tuple(
        msgspec.structs.replace(joined(slots[index] or [Interval(0, 0, 0)]), at=index * width)
        for index in range(max(slots) + 1)
    )


def _limits(result: StoredResult) -> list[str]:
    """The limits of a client, with its name, which those of a merged result have."""
    names = "" if result.parts or len(result.hosts) != 1 else f"{result.hosts[0]}: "
    return [f"{names}{limit}" for limit in result.limits]


def _repeated(results: Sequence[StoredResult]) -> list[str]:
    """A line about runs that are there several times, with their files."""
    runs = defaultdict[tuple[str, int, int], list[str]](list)
    for result in results:
        for origin in result.origins:
            name = f"{result.target} from {origin.host}"
            runs[name, origin.began_ns, origin.ended_ns].append(result.source)
    again = [
        f"{name} in {_shortened(files)}" for (name, *_), files in runs.items() if len(files) > 1
    ]
    return [f"the same run is counted more than once: {_shortened(again)}"] if again else []


def _shortened(names: Iterable[str]) -> str:
    """Some names, at most :data:`_MAX_NAMES`."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - _MAX_NAMES} more" if len(known) > _MAX_NAMES else ""
    return ", ".join(known[:_MAX_NAMES]) + more


def _distinct(lines: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(lines)))


def checkSameKind(first: StoredResult, second: StoredResult, verb: str) -> None:
    """
    Check that two results are of the same kind.

    :param verb: ``merged`` or ``compared``, for the message.
    :raise ReportError: they are not.
    """
    if first.kind != second.kind:
        raise ReportError(
            f"{first.source} has {first.kind}, {second.source} has {second.kind}; only results of "
            f"the same kind can be {verb}"
        )


def _targets(results: Sequence[StoredResult]) -> str:
    names = list(dict.fromkeys(result.target for result in results))
    return ", ".join(names) if len(names) <= _MAX_NAMES else f"{len(names)} targets"
