"""
The results of ``ping``, ``load``, ``verify`` and ``conformance`` as documents for JSON, and as the
figures that assertions check. The fields are defined in :mod:`.schema`.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import twisted
from msgspec import UNSET, UnsetType

from echoproto import __version__
from echoproto.conformance.results import CheckVerdict, ConformanceResult
from echoproto.measure.intervals import Interval
from echoproto.measure.latency import PERCENTILES, LatencyHistogram
from echoproto.measure.load.plan import LoadResult
from echoproto.measure.ping.plan import PingResult
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics, ProbeOutcome
from echoproto.measure.verify.integrity import FaultKind
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.schema import (
    FORMAT,
    VERSION,
    CheckValues,
    ConformanceDocument,
    FaultValues,
    IntervalValues,
    LoadConfiguration,
    LoadDocument,
    PingConfiguration,
    PingDocument,
    ProbeValues,
    TargetValues,
    TimesValues,
    VerifyConfiguration,
    VerifyDocument,
    Versions,
)
from echoproto.units import SECOND


def plainValues(values: msgspec.Struct) -> dict[str, Any]:
    """A struct as plain values for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(values)
    return plain


def documentHead() -> dict[str, Any]:
    """The fields of all documents."""
    versions = Versions(
        echoproto=__version__, twisted=twisted.__version__, python=platform.python_version()
    )
    return {"format": FORMAT, "version": VERSION, "versions": versions}


def timesStruct(times: LatencyHistogram) -> TimesValues:
    """The struct of a histogram."""
    return msgspec.convert(times.state(), TimesValues)


def intervalStructs(intervals: Sequence[Interval]) -> list[IntervalValues]:
    """The structs of intervals."""
    return [
        IntervalValues(
            at_ns=interval.at,
            sent=interval.sent,
            received=interval.received,
            wrong=UNSET if interval.wrong is None else interval.wrong,
            min_ns=interval.minimum,
            p50_ns=interval.median,
            p99_ns=interval.p99,
            max_ns=interval.maximum,
        )
        for interval in intervals
    ]


def intervalValues(interval: Interval) -> dict[str, Any]:
    """An interval, as a line of NDJSON or CSV."""
    return plainValues(*intervalStructs([interval]))


def pingDocument(results: Sequence[PingResult], started: str, session: str) -> dict[str, Any]:
    """
    The document of a ping.

    :param results: one for each target.
    :param started: date and time of the start (ISO 8601).
    :param session: identifies the run; 8 hexadecimal digits.
    """
    return plainValues(
        PingDocument(
            **documentHead(),
            started=started,
            session=session,
            targets=[_targetStruct(result) for result in results],
        )
    )


def _targetStruct(result: PingResult) -> TargetValues:
    plan, record = result.plan, result.record
    width, intervals = record.intervals()
    bursts = record.bursts()
    counts: dict[str, Any] = _counts(record)
    return TargetValues(
        target=result.target,
        configuration=PingConfiguration(
            count=plan.count,
            interval_ns=plan.interval,
            deadline_ns=plan.deadline,
            wait_ns=plan.timeout,
            adaptive=plan.adaptive,
            reconnect=plan.reconnect,
            size_bytes=record.probes.size,
        ),
        duration_ns=result.duration,
        **counts,
        dropped=record.dropped,
        client_limits=result.limits,
        loss_ratio=record.lossRatio,
        reasons=dict(record.reasons),
        bursts=bursts.count,
        longest_burst=bursts.longest,
        rtt=timesStruct(record.times),
        ipdv=timesStruct(record.variation),
        jitter_ns=round(record.jitter),
        connect=timesStruct(result.connecting),
        handshake=timesStruct(result.securing),
        interval_ns=width,
        intervals=intervalStructs(intervals),
    )


def probeValues(
    target: str, at: int, outcome: ProbeOutcome, time: datetime | None = None
) -> dict[str, Any]:
    """
    The outcome of a probe, as a line of NDJSON or CSV.

    :param at: nanoseconds from the start to when the probe was sent.
    :param time: date and time of the outcome, if it is to be shown.
    """
    difference = "" if outcome.difference is None else str(outcome.difference)
    return plainValues(
        ProbeValues(
            target=target,
            at_ns=at,
            kind=outcome.kind,
            seq=None if outcome.sequence is None else outcome.sequence + 1,
            size_bytes=outcome.size,
            rtt_ns=outcome.time,
            detail=outcome.reason or difference,
            time=UNSET if time is None else time.isoformat(timespec="microseconds"),
        )
    )


def verifyDocument(
    result: VerifyResult,
    started: str | UnsetType = UNSET,
    configuration: VerifyConfiguration | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    The document of a verification.

    :param started: date and time of the start (ISO 8601).
    :param configuration: its options.
    """
    return plainValues(
        VerifyDocument(
            **documentHead(),
            target=result.target,
            started=started,
            configuration=configuration,
            seed=result.seed,
            sent_bytes=result.sent,
            received_bytes=result.received,
            duration_ns=result.duration,
            rate_bytes_per_second=round(result.rate),
            ending=result.ending,
            counts={kind: result.counts[kind] for kind in FaultKind},
            faults=[
                FaultValues(
                    kind=fault.kind,
                    offset_bytes=fault.offset,
                    length_bytes=fault.length,
                    sent=fault.sent.hex(),
                    received=fault.received.hex(),
                )
                for fault in result.faults
            ],
        )
    )


def loadDocument(
    result: LoadResult,
    started: str | UnsetType = UNSET,
    sizes: tuple[int | None, int | None] = (None, None),
) -> dict[str, Any]:
    """
    The document of a load.

    :param started: date and time of the start (ISO 8601).
    :param sizes: the least and the most bytes of a message, if they are known.
    """
    plan = result.plan
    return plainValues(
        LoadDocument(
            **documentHead(),
            target=result.target,
            started=started,
            configuration=LoadConfiguration(
                connections=plan.connections,
                duration_ns=plan.duration,
                count=plan.count,
                window=plan.window,
                rate_per_second=plan.rate,
                warmup_ns=plan.warmup,
                timeout_ns=plan.timeout,
                arrivals=plan.arrivals if plan.open else None,
                workers=len(result.workers) or 1,
                min_size_bytes=sizes[0],
                max_size_bytes=sizes[1],
            ),
            duration_ns=result.duration,
            sent=result.sent,
            received=result.received,
            lost=result.lost,
            wrong=result.wrong,
            duplicates=result.duplicates,
            dropped=result.dropped,
            sent_bytes=result.bytesSent,
            received_bytes=result.bytesReceived,
            rate_per_second=result.rate,
            response=timesStruct(result.response),
            service=timesStruct(result.service),
            late=timesStruct(result.late),
            connect=timesStruct(result.connecting),
            connection_errors=dict(result.errors),
            busy_ratio=result.busy,
            client_limits=result.limits,
            interval_ns=SECOND,
            intervals=intervalStructs(result.intervals),
        )
    )


def conformanceDocument(
    result: ConformanceResult, started: str | UnsetType = UNSET
) -> dict[str, Any]:
    """
    The document of the conformance suite.

    :param started: date and time of the start (ISO 8601).
    """
    return plainValues(
        ConformanceDocument(
            **documentHead(),
            target=result.target,
            started=started,
            answered=result.answered,
            counts={verdict: result.count(verdict) for verdict in CheckVerdict},
            checks=[
                CheckValues(
                    carrier="udp" if found.check.carrier == "udp" else "tcp",
                    name=found.check.name,
                    requirement=found.check.description,
                    source=found.check.source,
                    risky=found.check.risky,
                    verdict=found.verdict,
                    reason=found.reason,
                    duration_ns=found.duration,
                )
                for found in result.results
            ],
        )
    )


def pingFigures(record: PingStatistics) -> dict[str, float]:
    """The figures of a ping for assertions, by name; without times if there was no reply."""
    values = {**_counts(record), "loss": record.lossRatio, **_timeFigures(record.times)}
    return {**values, "jitter": record.jitter} if record.times.count else values


def loadFigures(result: LoadResult) -> dict[str, float]:
    """
    The figures of a load for assertions, by name.

    Times are response times, or service times in a closed loop; if there was no reply, there are
    none.
    """
    return {
        "sent": result.sent,
        "received": result.received,
        "lost": result.lost,
        "corrupt": result.wrong,
        "duplicates": result.duplicates,
        "loss": result.lost / result.sent if result.sent else 0.0,
        "rate": result.rate,
        **_timeFigures(result.response if result.response.count else result.service),
    }


def _counts(record: PingStatistics) -> dict[str, int]:
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


def _timeFigures(times: LatencyHistogram) -> dict[str, float]:
    if not times.count:
        return {}
    return {
        "min": times.minimum,
        "avg": times.mean,
        "max": times.maximum,
        "mdev": times.deviation,
        **dict(zip(PERCENTILES, times.percentiles(*PERCENTILES.values()), strict=True)),
    }
