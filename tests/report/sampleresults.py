"""Sample results for the tests of reports, and of the commands."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from echoproto.conformance.results import (
    Check,
    CheckResult,
    CheckVerdict,
    ConformanceResult,
    ReasonCode,
)
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.report.documents.origin import Origin, originOf
from echoproto.report.result import StoredResult
from echoproto.text.units import SECOND

MS = 1_000_000


def histogramOf(*times: int) -> LatencyHistogram:
    """A histogram of these times in milliseconds."""
    histogram = LatencyHistogram()
    for time in times:
        histogram.add(time * MS)
    return histogram


def sampleOrigin(host: str = "lab1", after: float = 0, lasted: float = 2, **labels: str) -> Origin:
    """
    The origin of a result that this host measured.

    :param after: seconds after the beginning of the year when it began.
    :param lasted: seconds that it took.
    """
    ended = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=after + lasted)
    endedAt = round((after + lasted) * SECOND)
    origin = originOf(endedAt - round(lasted * SECOND), endedAt, ended, {"count": 5}, labels)
    return replace(origin, host=host)


def loadResult(**values: Any) -> LoadResult:
    """A load of two seconds with nine replies to ten messages, with these values replaced."""
    usual: dict[str, Any] = {
        "target": "tcp://lab1:7",
        "plan": LoadPlan(),
        "duration": 2_000 * MS,
        "sent": 10,
        "received": 9,
        "wrong": 0,
        "bytesSent": 20_480,
        "bytesReceived": 18_432,
        "response": LatencyHistogram(),
        "service": histogramOf(1, 2, 3),
        "late": LatencyHistogram(),
        "connecting": histogramOf(1),
        "errors": Counter(),
        "busy": 0.5,
    }
    return LoadResult(**{**usual, **values})


def storedResult(*times: int, **values: Any) -> StoredResult:
    """A stored ping of two seconds with nine replies to ten probes, with these values replaced."""
    usual: dict[str, Any] = {
        "files": ("a.json",),
        "command": "ping",
        "target": "udp://lab1:7",
        "sent": 10,
        "received": 9,
        "duration": 2 * SECOND,
        "rate": 4.5,
        "counts": {"corrupt": 0, "duplicates": 0, "reordered": 0, "late": 0, "foreign": 0},
        "measured": "rtt",
        "times": histogramOf(*times),
        "width": SECOND,
        "intervals": (Interval(0, 5, 5, UNSET, MS, 2 * MS, 3 * MS, 4 * MS), Interval(SECOND, 5, 0)),
        "probes": (),
    }
    return StoredResult(**{**usual, **values})


def storedVerification(**values: Any) -> StoredResult:
    """A stored verification of 2 MiB, all received, with these values replaced."""
    usual: dict[str, Any] = {
        "command": "verify",
        "sent": 2 << 20,
        "received": 2 << 20,
        "rate": float(1 << 20),
        "counts": {"wrong": 0},
        "measured": "",
        "width": 0,
        "intervals": (),
    }
    return storedResult(**{**usual, **values})


async def _ask(asked: object) -> str:
    return ""


def conformanceResult(*verdicts: tuple[str, str, CheckVerdict, str]) -> ConformanceResult:
    """A result with these checks: carrier, name, verdict, reason."""
    grades = [
        CheckResult(
            Check(carrier, name, "It is so.", "RFC 862", _ask),
            verdict,
            reason,
            5 * MS,
            ReasonCode.TIMEOUT if verdict is CheckVerdict.FAILED else None,
        )
        for carrier, name, verdict, reason in verdicts
    ]
    return ConformanceResult("tcp://lab1:7", grades, True)
