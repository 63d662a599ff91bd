"""The page of a monitor for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from echoproto import __version__
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.monitor.counters import TargetCounters
from echoproto.monitor.prober import Prober
from echoproto.status.exposition import LabelText, familyText
from echoproto.status.histogram import Histogram
from echoproto.units import SECOND


@dataclass(frozen=True)
class Reload:
    """
    The last reading of the file.

    :ivar succeeded: whether it was valid.
    :ivar at: when a valid one was read, in seconds since the epoch.
    """

    succeeded: bool
    at: float


@dataclass(frozen=True)
class _TargetFamily:
    """A metric of every target; its name without the prefix."""

    name: str
    text: str
    read: Callable[[TargetCounters], float | Histogram]
    kind: str = "counter"


def _replies(kind: OutcomeKind) -> Callable[[TargetCounters], float]:
    return lambda counters: counters.counts[kind]


_TARGETS = (
    _TargetFamily("sent_total", "Probes whose wait is over.", lambda counters: counters.sent),
    _TargetFamily(
        "received_total", "Probes with a reply in time.", lambda counters: counters.received
    ),
    _TargetFamily("lost_total", "Probes without a reply in time.", lambda counters: counters.lost),
    _TargetFamily(
        "dropped_total",
        "Probes whose reply the kernel dropped, as the monitor did not read it in time.",
        lambda counters: counters.dropped,
    ),
    _TargetFamily(
        "late_total", "Replies after the wait of their probe.", _replies(OutcomeKind.LATE)
    ),
    _TargetFamily(
        "reordered_total", "Replies after that of a later probe.", _replies(OutcomeKind.REORDERED)
    ),
    _TargetFamily(
        "duplicate_total", "Further replies to one probe.", _replies(OutcomeKind.DUPLICATE)
    ),
    _TargetFamily(
        "corrupt_total", "Replies that differ from their probe.", _replies(OutcomeKind.CORRUPT)
    ),
    _TargetFamily("foreign_total", "Replies to no probe.", _replies(OutcomeKind.FOREIGN)),
    _TargetFamily(
        "bursts_total", "Runs of consecutive lost probes.", lambda counters: counters.bursts.count
    ),
    _TargetFamily(
        "burst_probes",
        "Probes lost in a row until now.",
        lambda counters: counters.bursts.length,
        "gauge",
    ),
    _TargetFamily(
        "failed_lookups_total",
        "Lookups of the target's name that failed.",
        lambda counters: counters.failedLookups,
    ),
    _TargetFamily(
        "rtt_seconds",
        "Round-trip times of received probes.",
        lambda counters: counters.roundTrips,
        "histogram",
    ),
)

_CONNECTING = _TargetFamily(
    "connect_seconds",
    "Times to connect, with the TLS handshake.",
    lambda counters: counters.connecting,
    "histogram",
)


def monitorMetrics(
    probers: Sequence[Prober], lateness: Histogram, delay: Histogram, reload: Reload
) -> bytes:
    """
    The page with all metrics, in the text format of Prometheus.

    :param probers: the probers of all targets.
    :param lateness: by how many seconds probes were late.
    :param delay: the lag of the event loop.
    :param reload: the last reading of the file.
    """
    sources = [(LabelText(dict(prober.settings.key)), prober) for prober in probers]
    streams = [source for source in sources if source[1].settings.target.carrier != "udp"]
    text = [
        familyText("echoproto_info", "gauge", "The program.", [({"version": __version__}, 1)]),
        familyText(
            "echoproto_event_loop_delay_seconds",
            "histogram",
            "Delay of calls by the event loop.",
            [({}, delay)],
        ),
        _ofMonitor("lateness_seconds", "histogram", "Delay of probes in this process.", lateness),
        _ofMonitor("targets", "gauge", "Targets that are probed.", len(probers)),
        _ofMonitor(
            "last_reload_successful",
            "gauge",
            "1 if the file was valid when it was last read, else 0.",
            reload.succeeded,
        ),
        _ofMonitor(
            "last_reload_success_timestamp_seconds",
            "gauge",
            "When a valid file was last read.",
            reload.at,
        ),
        familyText(
            "echoproto_monitor_interval_seconds",
            "gauge",
            "Time between probes.",
            [(labels, prober.settings.interval / SECOND) for labels, prober in sources],
        ),
    ]
    for family in (*_TARGETS, _CONNECTING):
        samples = [
            (labels, family.read(prober.counters))
            for labels, prober in (streams if family is _CONNECTING else sources)
        ]
        text.append(
            familyText(f"echoproto_monitor_{family.name}", family.kind, family.text, samples)
        )
    return "".join(text).encode()


def _ofMonitor(name: str, kind: str, text: str, value: float | Histogram) -> str:
    return familyText(f"echoproto_monitor_{name}", kind, text, [({}, value)])
