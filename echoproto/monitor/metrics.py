"""The page of a monitor for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from echoproto import __version__
from echoproto.measure.ping.statistics import OutcomeKind
from echoproto.monitor.prober import Prober
from echoproto.status.exposition import LabelText, familyText, sampleText
from echoproto.status.histogram import Histogram
from echoproto.text.units import SECOND


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
    read: Callable[[Prober], float | Histogram]
    kind: str = "counter"


def _replies(kind: OutcomeKind) -> Callable[[Prober], float]:
    return lambda prober: prober.counters.counts[kind]


_PREFIX = "echoproto_monitor_"

#: Targets whose lines are made in one part of the page, which takes some 2 ms.
TARGETS_PER_PART = 20

_TARGETS = (
    _TargetFamily(
        "interval_seconds",
        "Time between probes.",
        lambda prober: prober.settings.interval / SECOND,
        "gauge",
    ),
    _TargetFamily("sent_total", "Probes whose wait is over.", lambda prober: prober.counters.sent),
    _TargetFamily(
        "received_total", "Probes with a reply in time.", lambda prober: prober.counters.received
    ),
    _TargetFamily(
        "lost_total", "Probes without a reply in time.", lambda prober: prober.counters.lost
    ),
    _TargetFamily(
        "dropped_total",
        "Probes whose reply the kernel dropped, as the monitor did not read it in time.",
        lambda prober: prober.counters.dropped,
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
        "bursts_total",
        "Runs of consecutive lost probes.",
        lambda prober: prober.counters.bursts.count,
    ),
    _TargetFamily(
        "burst_probes",
        "Probes lost in a row until now.",
        lambda prober: prober.counters.bursts.length,
        "gauge",
    ),
    _TargetFamily(
        "failed_lookups_total",
        "Lookups of the target's name that failed.",
        lambda prober: prober.counters.failedLookups,
    ),
    _TargetFamily(
        "rtt_seconds",
        "Round-trip times of received probes.",
        lambda prober: prober.counters.roundTrips,
        "histogram",
    ),
)

_CONNECTING = _TargetFamily(
    "connect_seconds",
    "Times to connect, with the TLS handshake.",
    lambda prober: prober.counters.connecting,
    "histogram",
)


def monitorMetrics(
    probers: Sequence[Prober], lateness: Histogram, delay: Histogram, reload: Reload
) -> Iterator[bytes]:
    """
    Make the page with all metrics, in the text format of Prometheus.

    :param probers: the probers of all targets. All lines of one are made at the same time.
    :param lateness: by how many seconds probes were late.
    :param delay: the lag of the event loop.
    :param reload: the last reading of the file.
    :return: the parts of the page, each of which takes a short time.
    """
    families = (*_TARGETS, _CONNECTING)
    parts = {
        family: [familyText(_PREFIX + family.name, family.kind, family.text, []).encode()]
        for family in families
    }
    for first in range(0, len(probers), TARGETS_PER_PART):
        sources = [
            (LabelText(dict(prober.settings.key)), prober)
            for prober in probers[first : first + TARGETS_PER_PART]
        ]
        for family, found in parts.items():
            found.append(_targetsText(family, sources).encode())
        yield b""
    yield _monitorText(len(probers), lateness, delay, reload).encode()
    for found in parts.values():
        yield b"".join(found)


def _targetsText(family: _TargetFamily, sources: Iterable[tuple[LabelText, Prober]]) -> str:
    """The lines of some targets."""
    return "".join(
        sampleText(_PREFIX + family.name, labels, family.read(prober))
        for labels, prober in sources
        if family is not _CONNECTING or prober.settings.target.carrier != "udp"
    )


def _monitorText(targets: int, lateness: Histogram, delay: Histogram, reload: Reload) -> str:
    """The metrics of the monitor itself."""
    return "".join(
        [
            familyText("echoproto_info", "gauge", "The program.", [({"version": __version__}, 1)]),
            familyText(
                "echoproto_event_loop_delay_seconds",
                "histogram",
                "Delay of calls by the event loop.",
                [({}, delay)],
            ),
            _ofMonitor(
                "lateness_seconds", "histogram", "Delay of probes in this process.", lateness
            ),
            _ofMonitor("targets", "gauge", "Targets that are probed.", targets),
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
        ]
    )


def _ofMonitor(name: str, kind: str, text: str, value: float | Histogram) -> str:
    return familyText(_PREFIX + name, kind, text, [({}, value)])
