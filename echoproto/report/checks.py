"""
The result of conformance checks as the rows of a table, and as a line.
"""

from __future__ import annotations

from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult


def checkRows(result: ConformanceResult, quiet: bool = False) -> list[tuple[str, ...]]:
    """
    A row for each check: carrier, name, verdict, reason.

    :param quiet: whether only failed checks have a row.
    """
    return [
        (found.check.carrier, found.check.name, found.verdict.value, _reason(found))
        for found in result.results
        if found.verdict is CheckVerdict.FAILED or not quiet
    ]


def _reason(found: CheckResult) -> str:
    failed = found.verdict is CheckVerdict.FAILED
    return f"{found.reason} ({found.check.source})" if failed else found.reason


def conformanceLine(result: ConformanceResult) -> str:
    """The number of checks with each verdict, in one line."""
    counts = {verdict: result.count(verdict) for verdict in CheckVerdict}
    skipped = counts.pop(CheckVerdict.SKIPPED)
    more = f", {skipped} skipped" if skipped else ""
    passed = f"{counts[CheckVerdict.PASSED]} of {sum(counts.values())}"
    return f"conformance: {passed} checks passed{more}"
