"""
The plan of a ping and its result, as values.
"""

from __future__ import annotations

from dataclasses import dataclass

from echoproto.measure.clientlimits import DROPPED_REMEDY, heldUpLimit
from echoproto.measure.latency import LatencyHistogram
from echoproto.measure.ping.statistics import PingStatistics
from echoproto.text.units import SECOND, counted, milliseconds

#: Share of the interval from which on its delay is reported.
DELAYED_SHARE = 0.01


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
    :ivar preload: number of probes that are sent at once at the start.
    :ivar mode: ``echo``, or ``udp-plus`` for a server that speaks UDPEchoPlus
        (:mod:`echoproto.measure.ping.echoplus`).
    """

    count: int | None = None
    interval: int = SECOND
    deadline: int | None = None
    timeout: int = 2 * SECOND
    adaptive: bool = False
    reconnect: bool = False
    preload: int = 1
    mode: str = "echo"


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
    :ivar heldUp: the longest time by which this process was late for a probe, if it was held up.
    :ivar delayed: nanoseconds by which this process being late has delayed the schedule.
    :ivar hint: why it cannot succeed with this server, and what to try; empty if it may.
    """

    target: str
    plan: PingPlan
    record: PingStatistics
    duration: int
    connecting: LatencyHistogram
    securing: LatencyHistogram
    heldUp: int = 0
    delayed: int = 0
    hint: str = ""

    @property
    def limits(self) -> list[str]:
        """Reasons why the client may have limited the figures, in words."""
        found = []
        if self.record.dropped:
            found.append(f"{counted(self.record.dropped, 'reply')} dropped {DROPPED_REMEDY}")
        if self.heldUp:
            found.append(heldUpLimit(self.heldUp))
        delay = self.delayed / max(self.record.sent, 1)
        if delay > self.plan.interval * DELAYED_SHARE:
            found.append(
                f"the interval was {milliseconds(self.plan.interval + delay)} ms on average "
                f"instead of {milliseconds(self.plan.interval)} ms, as probes were late"
            )
        return found
