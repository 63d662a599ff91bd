"""
``/probe?target=...``: probes any server on request, as blackbox_exporter does, for Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web import http

from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.interfaces import ITarget
from echoproto.client.targets.target import Target, parseTarget
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import OutcomeKind, PingStatistics
from echoproto.monitor.values import PARSERS, InvalidSetting
from echoproto.status.exposition import familyText
from echoproto.status.pages import EXPOSITION, Page
from echoproto.text.units import SECOND, parseCount

#: Probes of a request, and at most.
DEFAULT_COUNT, MAX_COUNT = 3, 1000

#: Nanoseconds between the probes, and of their wait.
DEFAULT_INTERVAL, DEFAULT_WAIT = SECOND // 10, SECOND

#: Seconds of a request without a header of Prometheus, and the longest.
DEFAULT_TIME, LONGEST_TIME = 10.0, 60.0

#: Requests at once: none waits for another, and their connections do not count as idle.
MAX_REQUESTS = 100

#: Seconds before the timeout of Prometheus in which the answer is sent.
ANSWER_TIME = 0.5

#: The header in which Prometheus sends its timeout.
TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"

_KINDS = ("late", "reordered", "duplicate", "corrupt", "foreign")


class ProbePage:
    """
    Makes the page.

    :param reactor: connects, looks names up, and calls later.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :param session: four bytes that distinguish these probes from others.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        monotonicNs: Callable[[], int],
        session: bytes,
    ) -> None:
        self._reactor = reactor
        self._monotonicNs = monotonicNs
        self._session = session
        self._requests = 0

    def __call__(self, request: http.Request) -> Page | Deferred[Page]:
        """Probe the target of a request."""
        if self._requests >= MAX_REQUESTS:
            message = b"%d requests are probing already; try again later\n" % self._requests
            return Page(http.SERVICE_UNAVAILABLE, message)
        query = (request.uri or b"").partition(b"?")[2].decode("ascii", "replace")
        try:
            values = _parse(parse_qsl(query, keep_blank_values=True))
            time = _timeOf(request.getHeader(TIMEOUT_HEADER))
        except ValueError as error:
            return Page(http.BAD_REQUEST, f"{error}\n".encode())
        plan = PingPlan(
            values.get("count", DEFAULT_COUNT),
            values.get("interval", DEFAULT_INTERVAL),
            round(time * SECOND),
            values.get("wait", DEFAULT_WAIT),
            reconnect=values.get("reconnect", False),
        )
        return self._probe(values["target"], values.get("size", 64), plan)

    def _probe(self, target: Target, size: int, plan: PingPlan) -> Deferred[Page]:
        self._requests += 1
        record = PingStatistics(ProbePayload(self._session, size), plan.timeout)
        began = self._monotonicNs()
        making = makeTarget(
            self._reactor, target, size, self._monotonicNs, lookupTime=plan.deadline
        )

        def made(found: ITarget) -> Deferred[PingResult]:
            pinger = Pinger(
                found, self._reactor, self._monotonicNs, record, plan, lambda outcome: None, began
            )
            pinger.start()
            return pinger.result

        def failed(failure: Failure) -> None:
            """The target cannot be reached at all: the figures remain as they are."""

        def page(result: object) -> Page:
            self._requests -= 1
            seconds = (self._monotonicNs() - began) / SECOND
            return Page(http.OK, _metrics(record, seconds).encode(), EXPOSITION)

        return making.addCallback(made).addErrback(failed).addCallback(page)


def _parse(query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The values of a query; raises ``ValueError`` with one line."""
    parsers: Mapping[str, Callable[[str], Any]] = {
        "target": _target,
        "count": _count,
        "interval": PARSERS["interval"],
        "wait": PARSERS["wait"],
        "size": lambda text: PARSERS["size"](parseCount(text)),
        "reconnect": lambda text: PARSERS["reconnect"](text == "true" or text),
    }
    found: dict[str, Any] = {}
    for name, text in query:
        if name not in parsers:
            raise InvalidSetting(f"unknown parameter {name!r} (known: {', '.join(parsers)})")
        if name in found:
            raise InvalidSetting(f"{name}: a request has only one")
        found[name] = parsers[name](text)
    if "target" not in found:
        raise InvalidSetting("missing target (example: /probe?target=udp://lab1:7&count=5)")
    return found


def _target(text: str) -> Target:
    target = parseTarget(text)
    if target.carrier == "unix":
        raise InvalidSetting("a client cannot probe UNIX sockets; use tcp, udp or tls")
    return target


def _count(text: str) -> int:
    count = parseCount(text)
    if not 1 <= count <= MAX_COUNT:
        raise InvalidSetting(f"invalid count {text!r} (1 to {MAX_COUNT})")
    return count


def _timeOf(header: str | None) -> float:
    """Seconds in which the answer must be sent."""
    if header is None:
        return DEFAULT_TIME
    try:
        limit = float(header)
    except ValueError:
        raise InvalidSetting(f"{TIMEOUT_HEADER}: invalid number {header!r}") from None
    # Not a number compares as false.
    if not limit > 0:
        raise InvalidSetting(f"{TIMEOUT_HEADER}: invalid number {header!r}")
    return min(max(limit - ANSWER_TIME, limit / 2), LONGEST_TIME)


def _metrics(record: PingStatistics, seconds: float) -> str:
    isSuccess = record.received > 0 and not record.isWrong
    figures = [
        ("probe_success", "1 if there was a reply and no byte was wrong, else 0.", isSuccess),
        ("probe_duration_seconds", "How long the probes took.", seconds),
        ("echoproto_probe_sent", "Probes.", record.sent),
        ("echoproto_probe_received", "Probes with a reply.", record.received),
        ("echoproto_probe_lost", "Probes without a reply.", record.lost),
        ("echoproto_probe_dropped", "Replies that the kernel dropped.", record.dropped),
    ]
    figures += [
        (f"echoproto_probe_{kind}", f"Replies that were {kind}.", record.counts[OutcomeKind(kind)])
        for kind in _KINDS
    ]
    text = [familyText(name, "gauge", help, [({}, value)]) for name, help, value in figures]
    times = record.times
    if times.count:
        values = (times.minimum, times.mean, times.maximum)
        samples = [
            ({"figure": name}, value / SECOND)
            for name, value in zip(("min", "mean", "max"), values, strict=True)
        ]
        text.append(
            familyText("echoproto_probe_rtt_seconds", "gauge", "Round-trip times.", samples)
        )
    return "".join(text)
