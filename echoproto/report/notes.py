"""
Notes on stored results: the client's own limits, failed connections, and options that differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from echoproto.report.result import StoredResult

#: Maximum number of reasons of one result, and of values of one option.
MAX_SHOWN = 5


def differentOptions(results: Sequence[StoredResult]) -> list[str]:
    """Names of the options that all results have, with different values."""
    first = results[0].options
    return [
        name
        for name in first
        if all(name in result.options for result in results)
        and any(result.options[name] != first[name] for result in results)
    ]


def optionsNote(results: Sequence[StoredResult]) -> list[str]:
    """A line about different options, with their values; none without any."""
    described = []
    for name in differentOptions(results):
        values = list(dict.fromkeys(str(result.options[name]) for result in results))
        more = ", ..." if len(values) > MAX_SHOWN else ""
        described.append(f"{name} ({', '.join(values[:MAX_SHOWN])}{more})")
    return [f"different options: {', '.join(described)}"] if described else []


def resultNotes(results: Sequence[StoredResult]) -> list[str]:
    """A line for each note on each result."""
    several = len(results) > 1
    return [
        f"{result.target} ({result.source}): {note}" if several else f"{result.target}: {note}"
        for result in results
        for note in _notes(result)
    ]


def _notes(result: StoredResult) -> list[str]:
    reasons = sorted(result.reasons.items(), key=lambda reason: -reason[1])
    return [
        *(f"limited by the client: {limit}" for limit in result.limits),
        *(f"{count} times: {reason}" for reason, count in reasons[:MAX_SHOWN]),
        *result.remarks,
    ]
