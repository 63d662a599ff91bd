"""
Merges results of several machines or runs. The percentiles of the sum are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from echoproto.errors import ReportError
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.documents.times import MAX_INTEGER
from echoproto.report.notes import differentOptions, optionsNote
from echoproto.report.result import StoredResult

# Of more targets than this, only the number is shown.
_MAX_NAMES = 3


def mergeResults(results: Sequence[StoredResult]) -> StoredResult:
    """
    Merge results into one; a single result is returned unchanged.

    Histograms, counts and rates are added, as for machines that ran at the same time; the duration
    is the longest. Intervals are dropped, since it is unknown when each run began.

    :raise ReportError: there are no results, or they are of different kinds.
    """
    if not results:
        raise ReportError("nothing to merge")
    first = results[0]
    if len(results) == 1:
        return first
    for result in results:
        checkSameKind(first, result, "merged")
    different = differentOptions(results)
    times, counts = LatencyHistogram(), Counter(dict.fromkeys(first.counts, 0))
    for result in results:
        times.merge(result.times)
        counts.update(result.counts)
    sent = sum(result.sent for result in results)
    received = sum(result.received for result in results)
    if max(times.count, sent, received) > MAX_INTEGER:
        raise ReportError("the sums are too large; are the files damaged?")
    return StoredResult(
        tuple(file for result in results for file in result.files),
        first.command,
        _targets(results),
        sent,
        received,
        max(result.duration for result in results),
        sum(result.rate for result in results),
        dict(counts),
        first.measured,
        times,
        started=min(result.started for result in results),
        origins=tuple(origin for result in results for origin in result.origins),
        options={name: value for name, value in first.options.items() if name not in different},
        limits=_distinct(result.limits for result in results),
        reasons=dict(sum((Counter(result.reasons) for result in results), Counter())),
        remarks=_distinct([*(result.remarks for result in results), optionsNote(results)]),
    )


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
            f"{first.origin} has {first.kind}, {second.origin} has {second.kind}; only results of "
            f"the same kind can be {verb}"
        )


def _targets(results: Sequence[StoredResult]) -> str:
    names = list(dict.fromkeys(result.target for result in results))
    return ", ".join(names) if len(names) <= _MAX_NAMES else f"{len(names)} targets"
