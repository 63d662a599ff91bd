"""
A saved result: what a measurement has come to, whichever command made it.

Made by :mod:`.loader` of what a file has, and by :mod:`.merge`; compared, shown and drawn by the modules behind them. It knows
no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from echoproto.measure.intervals import Interval
from echoproto.measure.latency import LatencyHistogram


@dataclass(frozen=True)
class StoredResult:
    """
    What became of one target. Times are in nanoseconds.

    :ivar files: where it was read; several where results were merged.
    :ivar command: what has measured it: ``ping``, ``load`` or ``verify``.
    :ivar target: its name.
    :ivar sent: exchanges; bytes where ``command`` is ``verify``. So are the next.
    :ivar received: of these, how many were answered, well or badly.
    :ivar duration: how long it took.
    :ivar rate: received each second.
    :ivar counts: what was seen of replies, by name: ``wrong`` (``load``, ``verify``), ``corrupt``, ``duplicates``, ``reordered``,
        ``late``, ``foreign`` (``ping``). What a command does not count is missing.
    :ivar measured: what ``times`` are: ``rtt``, ``response`` or ``service``; empty where there are none.
    :ivar times: how long exchanges took.
    :ivar width: of each of ``intervals``.
    :ivar intervals: the run from second to second; none where that was not kept.
    :ivar probes: when each probe was seen to be answered or lost, and its round trip, ``None`` where it was lost; none where there
        are too many to draw, or were not kept.
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

    @property
    def lost(self) -> int:
        """What was sent without a reply."""
        return max(self.sent - self.received, 0)

    @property
    def lossRatio(self) -> float:
        """The lost ones among all; 0 where none was sent."""
        return self.lost / self.sent if self.sent else 0.0

    @property
    def inBytes(self) -> bool:
        """Whether bytes are counted, rather than exchanges."""
        return self.command == "verify"

    @property
    def kind(self) -> str:
        """What it is of, in words; only results of the same kind can be merged and compared."""
        return f"{self.measured} times of {self.command}" if self.measured else self.command

    @property
    def origin(self) -> str:
        """Its files, in words."""
        more = len(self.files) - 1
        return f"{self.files[0]} and {more} more" if more else self.files[0]
