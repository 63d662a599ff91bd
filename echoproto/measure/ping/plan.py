"""
The plan of a ping and its result, as values.
"""

from __future__ import annotations

from dataclasses import dataclass

from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.units import SECOND


@dataclass(frozen=True)
class PingPlan:
    """
    When to send, and how long to wait. Times are in nanoseconds.

    :ivar count: number of probes; ``None`` for no limit.
    :ivar interval: time between probes.
    :ivar deadline: limit for the whole run, with the name lookup; ``None`` for no limit.
    :ivar timeout: limit for each reply, and for each connection.
    :ivar adaptive: whether to send the next probe as soon as a reply is received.
    :ivar reconnect: whether each probe has a new connection.
    """

    count: int | None = None
    interval: int = SECOND
    deadline: int | None = None
    timeout: int = 2 * SECOND
    adaptive: bool = False
    reconnect: bool = False


@dataclass(frozen=True)
class PingResult:
    """
    The result of a ping.

    :ivar target: name of the target.
    :ivar plan: the plan.
    :ivar record: counts and times of the probes.
    :ivar duration: nanoseconds from the first probe to the end.
    :ivar connecting: times to connect.
    :ivar securing: times of TLS handshakes.
    """

    target: str
    plan: PingPlan
    record: PingStatistics
    duration: int
    connecting: LatencyHistogram
    securing: LatencyHistogram
