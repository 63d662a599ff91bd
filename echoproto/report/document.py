"""
A measurement as plain values for JSON: times in ``_ns``, sizes in ``_bytes``, counts, and histograms that can be merged.

What the values mean is told by ``measurement.schema.json`` beside this module, against which they are tested. :data:`VERSION`
changes when a value changes its meaning or goes; new ones may come.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import twisted

from echoproto import __version__
from echoproto.conformance.results import CheckVerdict, ConformanceResult
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.units import SECOND

FORMAT = "echoproto-measurement"
VERSION = 1


def pingDocument(results: Sequence[PingResult], started: str, session: str) -> dict[str, Any]:
    """
    A whole run.

    :param results: one for each target.
    :param started: when it began (ISO 8601).
    :param session: the number of the session, in hexadecimal.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "ping",
        "started": started,
        "session": session,
        "versions": versions(),
        "targets": [targetValues(each) for each in results],
    }


def verifyDocument(result: VerifyResult) -> dict[str, Any]:
    """What became of a stream."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "verify",
        "versions": versions(),
        "target": result.target,
        "seed": result.seed,
        "sent_bytes": result.sent,
        "received_bytes": result.received,
        "duration_ns": result.duration,
        "rate_bytes_per_second": round(result.rate),
        "ending": result.ending,
        "counts": {kind.value: result.counts[kind] for kind in FaultKind},
        "faults": [
            {
                "kind": each.kind.value,
                "offset_bytes": each.offset,
                "length_bytes": each.length,
                "sent": each.sent.hex(),
                "received": each.received.hex(),
            }
            for each in result.faults
        ],
    }


def loadDocument(result: LoadResult) -> dict[str, Any]:
    """What became of a load."""
    plan = result.plan
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "load",
        "versions": versions(),
        "target": result.target,
        "configuration": {
            "connections": plan.connections,
            "duration_ns": plan.duration,
            "count": plan.count,
            "window": plan.window,
            "rate_per_second": plan.rate,
            "warmup_ns": plan.warmup,
            "timeout_ns": plan.timeout,
        },
        "duration_ns": result.duration,
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "wrong": result.wrong,
        "duplicates": result.duplicates,
        "sent_bytes": result.bytesSent,
        "received_bytes": result.bytesReceived,
        "rate_per_second": result.rate,
        "response": result.response.state(),
        "service": result.service.state(),
        "late": result.late.state(),
        "connect": result.connecting.state(),
        "connection_errors": dict(result.errors),
        "busy_ratio": result.busy,
        "client_limits": result.limits,
        "interval_ns": SECOND,
        "intervals": [each.values() for each in result.intervals],
    }


def conformanceDocument(result: ConformanceResult) -> dict[str, Any]:
    """What came of a battery of checks."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "command": "conformance",
        "versions": versions(),
        "target": result.target,
        "answered": result.answered,
        "counts": {each.value: result.count(each) for each in CheckVerdict},
        "checks": [
            {
                "carrier": each.check.carrier,
                "name": each.check.name,
                "asks": each.check.description,
                "source": each.check.source,
                "risky": each.check.risky,
                "verdict": each.verdict.value,
                "reason": each.reason,
                "duration_ns": each.duration,
            }
            for each in result.results
        ],
    }


def loadFigures(result: LoadResult) -> dict[str, float]:
    """What assertions may be about, by name; times are response times, in a closed loop service times."""
    times = result.response if result.response.count else result.service
    return {
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "corrupt": result.wrong,
        "duplicates": result.duplicates,
        "loss": result.lost / result.sent if result.sent else 0.0,
        "rate": result.rate,
        **_timesOf(times),
    }


def _timesOf(times: LatencyHistogram) -> dict[str, float]:
    if not times.count:
        return {}
    named = dict(zip(PERCENTILES, times.percentiles(*PERCENTILES.values()), strict=True))
    return {
        "min": times.minimum,
        "avg": times.mean,
        "max": times.maximum,
        "mdev": times.deviation,
        **named,
    }


def versions() -> dict[str, str]:
    """Of what has measured."""
    return {
        "echoproto": __version__,
        "twisted": twisted.__version__,
        "python": platform.python_version(),
    }


def targetValues(result: PingResult) -> dict[str, Any]:
    """What became of one target."""
    width, intervals = result.record.intervals()
    return {
        "target": result.target,
        "configuration": _configuration(result.plan, result.record),
        "duration_ns": result.duration,
        **countsOf(result.record),
        "loss_ratio": result.record.lossRatio,
        "bursts": len(result.record.bursts()),
        "longest_burst": max(result.record.bursts(), default=0),
        "rtt": result.record.times.state(),
        "ipdv": result.record.variation.state(),
        "jitter_ns": round(result.record.jitter),
        "connect": result.connecting.state(),
        "handshake": result.securing.state(),
        "interval_ns": width,
        "intervals": [each.values() for each in intervals],
    }


def countsOf(record: PingStatistics) -> dict[str, int]:
    """Probes and replies, by what was seen of them."""
    counts = record.counts
    return {
        "sent": record.sent,
        "received": record.received,
        "lost": record.lost,
        "corrupt": counts[OutcomeKind.CORRUPT],
        "duplicates": counts[OutcomeKind.DUPLICATE],
        "reordered": counts[OutcomeKind.REORDERED],
        "late": counts[OutcomeKind.LATE],
        "foreign": counts[OutcomeKind.FOREIGN],
    }


def pingFigures(record: PingStatistics) -> dict[str, float]:
    """What assertions may be about, by name (:mod:`echoproto.measure.assertions`); times only where there are any."""
    values = {**countsOf(record), "loss": record.lossRatio, **_timesOf(record.times)}
    return {**values, "jitter": record.jitter} if record.times.count else values


def _configuration(plan: PingPlan, record: PingStatistics) -> dict[str, Any]:
    return {
        "count": plan.count,
        "interval_ns": plan.interval,
        "deadline_ns": plan.deadline,
        "wait_ns": plan.timeout,
        "adaptive": plan.adaptive,
        "reconnect": plan.reconnect,
        "size_bytes": record.probes.size,
    }


def probeValues(target: str, at: int, seen: ProbeOutcome) -> dict[str, Any]:
    """
    One probe's reply, or that none came.

    :param at: nanoseconds since the beginning.
    """
    return {
        "target": target,
        "at_ns": at,
        "kind": seen.kind.value,
        "seq": None if seen.sequence is None else seen.sequence + 1,
        "size_bytes": seen.size,
        "rtt_ns": seen.time,
        "detail": seen.reason or ("" if seen.difference is None else str(seen.difference)),
    }
