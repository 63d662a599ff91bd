"""
Notes on stored results: the client's own limits, failed connections, and options that differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from echoproto.measure.latency import LatencyHistogram
from echoproto.report.result import StoredResult
from echoproto.report.text import directionsLine
from echoproto.text.units import SECOND, counted, milliseconds, seconds

#: Ratio of two rates from which on they are different.
RATE_RATIO = 1.1

#: Maximum number of reasons of one result, and of values of one option.
MAX_SHOWN = 5

#: Maximum number of files of merged results.
MAX_PARTS = 20


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


def differenceNotes(results: Sequence[StoredResult]) -> list[str]:
    """A line for each difference that may explain other times: options, hosts, versions, rates."""
    lines = optionsNote(results)
    for name, values in (
        ("hosts", [", ".join(result.hosts) for result in results]),
        ("versions", [", ".join(_versions(result)) for result in results]),
    ):
        if all(values) and len(set(values)) > 1:
            lines.append(f"different {name}: {' and '.join(values)}")
    rates = [_sendRate(result) for result in results]
    if min(rates) and max(rates) > min(rates) * RATE_RATIO:
        lines.append(f"different rates: {' and '.join(f'{rate:.1f}/s' for rate in rates)}")
    return lines


def _sendRate(result: StoredResult) -> float:
    """Exchanges sent per second; replies are fewer by the losses, for which a ping waits too."""
    interval, isAdaptive = (result.options.get(name) for name in ("interval_ns", "adaptive"))
    if isinstance(interval, int) and interval and not isAdaptive and not result.parts:
        return SECOND / interval
    return result.rate * result.sent / result.received if result.received else 0.0


def _versions(result: StoredResult) -> list[str]:
    found = (f"echoproto {part.echoproto} on Python {part.python}" for part in result.origins)
    return list(dict.fromkeys(found))


def descriptionNotes(results: Sequence[StoredResult]) -> list[str]:
    """A line for each result about when, where and how it was measured."""
    several = len(results) > 1
    return [
        f"{_named(result, several)}: {'; '.join(parts)}"
        for result in results
        if (parts := _description(result))
    ]


def _description(result: StoredResult) -> list[str]:
    options = [
        f"{name.removesuffix('_ns').removesuffix('_bytes')} {_optionValue(name, value)}".rstrip()
        for name, value in result.options.items()
        if value is not None and value is not False
    ]
    labels = [f"{name}={value}" for name, value in result.labels.items()]
    hosts, more = result.hosts[:MAX_SHOWN], len(result.hosts) - MAX_SHOWN
    others = f" and {more} more" if more > 0 else ""
    parts = (
        result.started,
        f"by {', '.join(hosts)}{others}" if hosts else "",
        ", ".join(_versions(result)[:MAX_SHOWN]),
        f"{'each run: ' if options and result.parts else ''}{', '.join(options)}",
        " ".join(labels),
        _parts(result),
    )
    return [part for part in parts if part]


def _parts(result: StoredResult) -> str:
    """The files of merged results, with the labels of each that not all have."""
    if not result.parts:
        return ""
    parts = list(result.parts)
    if len(result.origins) == len(parts):
        labels = (_ownLabels(origin.labels, result) for origin in result.origins)
        parts = [" ".join(part) for part in zip(parts, labels, strict=True)]
    found = dict.fromkeys(part.rstrip() for part in parts)
    more = f" and {len(found) - MAX_PARTS} more" if len(found) > MAX_PARTS else ""
    return f"merged of {', '.join([*found][:MAX_PARTS])}{more}"


def _ownLabels(labels: Mapping[str, str], result: StoredResult) -> str:
    own = (f"{name}={value}" for name, value in labels.items() if name not in result.labels)
    return " ".join(own)


def _optionValue(name: str, value: object) -> str:
    if name.endswith("_ns") and isinstance(value, int):
        return seconds(value)
    if name.endswith("_bytes"):
        return f"{value} B"
    return "" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _named(result: StoredResult, several: bool) -> str:
    return f"{result.target} ({result.source})" if several else result.target


def resultNotes(results: Sequence[StoredResult]) -> list[str]:
    """A line for each note on each result."""
    several = len(results) > 1
    return [f"{_named(result, several)}: {note}" for result in results for note in _notes(result)]


def _notes(result: StoredResult) -> list[str]:
    reasons = sorted(result.reasons.items(), key=lambda reason: -reason[1])
    lost = result.directions
    return [
        *([directionsLine(lost)] if lost and result.lost else ()),
        *(f"limited by the client: {limit}" for limit in result.limits),
        *(f"{counted(count, 'time')}: {reason}" for reason, count in reasons[:MAX_SHOWN]),
        *result.remarks,
        *(_otherTimes(name, times) for name, times in result.otherTimes.items()),
    ]


def _otherTimes(name: str, times: LatencyHistogram) -> str:
    values = times.quantiles()
    shown = "/".join(map(milliseconds, values.values()))
    return f"{name.replace('_', ' ')} {'/'.join(values)} = {shown} ms"
