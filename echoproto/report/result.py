"""
A stored result of any command, as :mod:`.loader` reads it and :mod:`.merge` adds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.echoplus import LossDirections
from echoproto.report.documents.origin import Origin


@dataclass(frozen=True)
class StoredResult:
    """
    The result of one target. Times are in nanoseconds.

    :ivar files: the files it was read from; several if results were merged.
    :ivar command: ``ping``, ``load`` or ``verify``.
    :ivar target: name of the target.
    :ivar sent: number of exchanges, or of bytes for ``verify``.
    :ivar received: replies, right or wrong, in the same unit.
    :ivar duration: duration of the run.
    :ivar rate: received per second.
    :ivar counts: kinds of replies, by name: ``wrong`` (``load``, ``verify``), ``corrupt``,
        ``duplicates``, ``reordered``, ``late``, ``foreign`` (``ping``); ``dropped`` by the client's
        full receive buffer (``load``, ``ping``); ``lost_up`` and ``lost_down``, the losses to and
        from a UDPEchoPlus server, and ``lost_unsent``, its replies that it could not send
        (``ping``).
    :ivar measured: the kind of ``times``: ``rtt``, ``response`` or ``service``; empty without
        times.
    :ivar times: the times of the exchanges.
    :ivar otherTimes: further times, by their names in the documents: ``service`` of a load in an
        open loop, ``connect`` and ``handshake``; of UDPEchoPlus ``server_time``, and
        ``network_time``, which is the round trip without it.
    :ivar width: width of ``intervals``.
    :ivar intervals: the run in intervals; empty if they were not stored.
    :ivar probes: for each probe, when it was sent and its round-trip time, ``None`` if it was lost;
        empty if there are too many for a chart, or if they were not stored.
    :ivar started: date and time of the start (ISO 8601); empty if it was not stored.
    :ivar origins: where, when and how it was measured; several if results were merged, and none if
        that was not stored.
    :ivar options: the options of the run, by their names in the documents.
    :ivar limits: reasons why the client may have limited the figures.
    :ivar reasons: numbers of losses (``ping``) or failed connections (``load``), by reason.
    :ivar remarks: doubts about merged results.
    :ivar parts: the files that were merged, of a merged result, also after it was stored itself.
    """

    files: tuple[str, ...]
    command: str
    target: str
    sent: int
    received: int
    duration: int
    rate: float
    counts: Mapping[str, int]
    measured: str
    times: LatencyHistogram
    width: int = 0
    intervals: tuple[Interval, ...] = ()
    probes: tuple[tuple[int, int | None], ...] = ()
    started: str = ""
    origins: tuple[Origin, ...] = ()
    otherTimes: Mapping[str, LatencyHistogram] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def lost(self) -> int:
        """Sent without a reply, except for replies that the client dropped."""
        return max(self.sent - self.received - self.counts.get("dropped", 0), 0)

    @property
    def lossRatio(self) -> float:
        """Share of ``sent`` that was lost; 0 if nothing was sent."""
        return self.lost / self.sent if self.sent else 0.0

    @property
    def directions(self) -> LossDirections | None:
        """The directions of its losses; ``None`` if no reply shows them."""
        if "lost_up" not in self.counts:
            return None
        names = ("lost_up", "lost_down", "lost_unsent")
        up, down, unsent = (self.counts.get(name, 0) for name in names)
        return LossDirections(up, down, max(self.lost - up - down - unsent, 0), unsent)

    @property
    def inBytes(self) -> bool:
        """Whether it counts bytes, not exchanges."""
        return self.command == "verify"

    @property
    def kind(self) -> str:
        """Its kind in words; only results of the same kind can be merged or compared."""
        return f"{self.measured} times of {self.command}" if self.measured else self.command

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that have measured it; none if that was not stored."""
        return tuple(dict.fromkeys(origin.host for origin in self.origins))

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels that it has on all hosts."""
        first, *others = [origin.labels for origin in self.origins] or [{}]
        return {
            name: value
            for name, value in first.items()
            if all(labels.get(name) == value for labels in others)
        }

    @property
    def span(self) -> tuple[int, int] | None:
        """When it began and ended, in nanoseconds of the wall clock; ``None`` if unknown."""
        began = min((origin.beganAt for origin in self.origins), default=None)
        return None if began is None else (began, began + self.duration)

    @property
    def source(self) -> str:
        """Its files in words."""
        more = len(self.files) - 1
        return f"{self.files[0]} and {more} more" if more else self.files[0]
