"""
Adds results of several machines, or of several runs, exactly: their percentiles are those of all times together.

Called by ``echoproto report --merge``, and by programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from echoproto.errors import ReportError
from echoproto.measure.latency import LatencyHistogram
from echoproto.report.result import StoredResult
from echoproto.report.validation import MOST

# Names of targets that are told; of more, how many they are.
_NAMED = 3


def mergeResults(results: Sequence[StoredResult]) -> StoredResult:
    """
    Make one result of several; one alone stays as it is.

    Histograms, counts and rates are added, as those of machines that ran at once are; the duration is the longest. What each second
    was like is not kept: who knows when each began?

    :raise ReportError: they are of different kinds, or there is none.
    """
    if not results:
        raise ReportError("there is nothing to merge")
    first = results[0]
    if len(results) == 1:
        return first
    for each in results:
        checkAlike(first, each, "merged")
    times, counts = LatencyHistogram(), Counter(dict.fromkeys(first.counts, 0))
    for each in results:
        times.merge(each.times)
        counts.update(each.counts)
    sent, received = (
        sum(each) for each in zip(*((r.sent, r.received) for r in results), strict=True)
    )
    if max(times.count, sent, received) > MOST:
        raise ReportError("together they are more than can be counted; are the files damaged?")
    return StoredResult(
        tuple(file for each in results for file in each.files),
        first.command,
        _targets(results),
        sent,
        received,
        max(each.duration for each in results),
        sum(each.rate for each in results),
        dict(counts),
        first.measured,
        times,
    )


def checkAlike(first: StoredResult, second: StoredResult, what: str) -> None:
    """
    Check that two results are of the same kind.

    :param what: what is to be done with them, for the message.
    :raise ReportError: they are not.
    """
    if first.kind != second.kind:
        raise ReportError(
            f"{first.origin} has {first.kind}, {second.origin} {second.kind}; only results of one kind can be {what}"
        )


def _targets(results: Sequence[StoredResult]) -> str:
    names = list(dict.fromkeys(each.target for each in results))
    return ", ".join(names) if len(names) <= _NAMED else f"{len(names)} targets"
