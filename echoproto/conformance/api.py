"""
The battery as one call: from what is written to a result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from echoproto.conformance.results import CheckResult, ConformanceResult
from echoproto.conformance.runner import ConformanceRunner
from echoproto.conformance.safety import checkRisk
from echoproto.conformance.streamclient import StreamTester
from echoproto.conformance.suite import TCP, UDP, chosen
from echoproto.conformance.udpclient import DatagramTester
from echoproto.errors import TargetError
from echoproto.targets.endpoints import ConnectOptions, makeTarget
from echoproto.targets.target import Target, parseTarget
from echoproto.units import SECOND


def prepareGrade(
    reactor: Any,
    target: str | Target,
    carriers: Sequence[str] = (),
    only: Sequence[str] = (),
    risky: bool = False,
    owned: bool = False,
    patience: int = 5 * SECOND,
    way: ConnectOptions | None = None,
    tell: Callable[[CheckResult], None] = lambda grade: None,
    now: Callable[[], int] = time.monotonic_ns,
) -> Deferred[ConformanceRunner]:
    """
    Make ready to grade an echo server.

    :param reactor: reaches the target, and keeps the time.
    :param target: ``lab1``, ``udp://lab1:7``, ``tls://lab1:7`` and so on (:mod:`echoproto.targets.target`).
    :param carriers: ``tcp`` and ``udp``, or one of them; the target's own where empty. TLS and UNIX sockets have the checks of
        ``tcp`` only.
    :param only: names of checks; all where empty.
    :param risky: whether checks are asked that could start a loop or a flood, too.
    :param owned: whether the server is yours, so that those are asked off loopback and private networks, too.
    :param patience: nanoseconds without an answer, after which none is awaited.
    :param way: how to get there.
    :param tell: called with each grade.
    :param now: the time in nanoseconds, which never goes back.
    :return: fires with a :class:`~.runner.ConformanceRunner`, to be started. Fails with ``DNSLookupError``, or ``TargetError`` where the target
        cannot be asked so.
    :raise ValueError: the target cannot be understood, or there is no such check.
    """
    asked = parseTarget(target) if isinstance(target, str) else target
    checks = chosen(carriers or (UDP if asked.carrier == "udp" else TCP,), only, risky)
    wanted = dict.fromkeys(each.carrier for each in checks)

    async def prepared() -> ConformanceRunner:
        ways: dict[str, Any] = {}
        for carrier in wanted:
            over = _over(asked, carrier)
            found = await makeTarget(reactor, over, 1 if carrier == UDP else None, now, way)
            if risky and not owned:
                checkRisk(over, found.address)
            ways[carrier] = _asked(reactor, found, asked.port, carrier, patience / SECOND, way)
        name = " and ".join(_over(asked, carrier).text for carrier in wanted)
        return ConformanceRunner(name, ways, checks, reactor, now, tell)

    return Deferred.fromCoroutine(prepared())


def _over(target: Target, carrier: str) -> Target:
    """The target on that carrier: host and port are the same on TCP and UDP."""
    if target.carrier in (TCP, UDP):
        over = replace(target, carrier=carrier)
        return replace(over, text=over.called(over.host))
    if carrier == UDP:
        raise TargetError(f"{target.text} is a stream; give --carrier tcp")
    return target


def _asked(
    reactor: Any, found: Any, port: int, carrier: str, patience: float, way: ConnectOptions | None
) -> Any:
    if carrier == UDP:
        source = "" if way is None else way.source
        return DatagramTester(reactor, found.address, port, patience, source)
    return StreamTester(found, reactor, patience)


def grade(
    reactor: Any, target: str | Target, *arguments: Any, **named: Any
) -> Deferred[ConformanceResult]:
    """
    Grade an echo server: :func:`prepareGrade`, with the same parameters, and start.

    :return: fires with a :class:`~.results.ConformanceResult`, also where nobody answers. Fails as :func:`prepareGrade` does, and with what TLS has
        to say where a certificate is not trusted. Cancelled, it fires with what there is: the rest is skipped.
    :raise ValueError: the target cannot be understood, or there is no such check.
    """

    def start(grading: ConformanceRunner) -> Deferred[ConformanceResult]:
        grading.start()
        return grading.result

    return prepareGrade(reactor, target, *arguments, **named).addCallback(start)
