"""The checks as one call: from the text of a target to a result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.client.measurement import startedBy
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.target import Target, parseTarget
from echoproto.conformance.registry import TCP, UDP
from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult
from echoproto.conformance.runner import ConformanceRunner, Tester
from echoproto.conformance.safety import checkRisk
from echoproto.conformance.streamclient import StreamTester
from echoproto.conformance.suite import chosen
from echoproto.conformance.udpclient import DatagramTester
from echoproto.errors import TargetError
from echoproto.text.units import SECOND

__all__ = [
    "CheckResult",
    "CheckVerdict",
    "ConformanceResult",
    "ConformanceRunner",
    "ConnectOptions",
    "grade",
    "prepareGrade",
]


def prepareGrade(
    reactor: IReactorTime,
    target: str | Target,
    *,
    carriers: Sequence[str] = (),
    only: Sequence[str] = (),
    includeRisky: bool = False,
    allowRemoteRisk: bool = False,
    timeout: int = 5 * SECOND,
    connect: ConnectOptions = ConnectOptions(),
    onResult: Callable[[CheckResult], None] = lambda result: None,
    monotonicNs: Callable[[], int] = time.monotonic_ns,
) -> Deferred[ConformanceRunner]:
    """
    Prepare the checks of an echo server.

    :param reactor: connects to the target, and measures the time.
    :param target: ``lab1``, ``udp://lab1:7``, ``tls://lab1:7`` and so on
        (:mod:`echoproto.client.targets.target`).
    :param carriers: ``tcp`` and ``udp``, or one of them; by default the target's. TLS and UNIX
        sockets have the checks of ``tcp`` only.
    :param only: names of checks; all if empty.
    :param includeRisky: whether to include checks that could start a loop or a flood.
    :param allowRemoteRisk: whether these may run against public addresses, because the server is
        yours.
    :param timeout: nanoseconds to wait for an answer.
    :param connect: how to connect.
    :param onResult: called with the result of each check.
    :param monotonicNs: the monotonic time in nanoseconds.
    :return: fires with a :class:`~.runner.ConformanceRunner` to start. Fails with
        ``DNSLookupError``, or with ``TargetError`` if the target cannot be used.
    :raise ValueError: the target is invalid, or a check is unknown.
    """
    parsed = parseTarget(target) if isinstance(target, str) else target
    checks = chosen(carriers or (UDP if parsed.carrier == UDP else TCP,), only, includeRisky)
    # All checks ask the same addresses, so that no name can lead risky ones elsewhere.
    fixed = replace(connect, lookAgain=False)
    refusesRisk = includeRisky and not allowRemoteRisk

    async def prepare() -> ConformanceRunner:
        targets = {check.carrier: _over(parsed, check.carrier) for check in checks}
        testers = {
            carrier: await _tester(reactor, over, timeout, monotonicNs, fixed, refusesRisk)
            for carrier, over in targets.items()
        }
        name = " and ".join(over.text for over in targets.values())
        return ConformanceRunner(name, testers, checks, reactor, monotonicNs, onResult)

    return Deferred.fromCoroutine(prepare())


async def _tester(
    reactor: IReactorTime,
    target: Target,
    timeout: int,
    monotonicNs: Callable[[], int],
    connect: ConnectOptions,
    refusesRisk: bool,
) -> Tester:
    """The client of the checks of a carrier."""
    isUDP = target.carrier == UDP
    found = await makeTarget(reactor, target, 1 if isUDP else None, monotonicNs, connect, timeout)
    addresses = found.host.addresses
    if refusesRisk:
        for address in addresses or ("",):
            checkRisk(target, address)
    seconds = timeout / SECOND
    if isUDP:
        return DatagramTester(reactor, addresses, target.port, seconds, connect)
    return StreamTester(found, reactor, seconds)


def _over(target: Target, carrier: str) -> Target:
    """The target on another carrier: host and port are the same on TCP and UDP."""
    if target.carrier in (TCP, UDP):
        over = replace(target, carrier=carrier)
        return replace(over, text=over.called(over.host))
    if carrier == UDP:
        raise TargetError(f"{target.text} is a stream; use --carrier tcp")
    return target


#: Check an echo server; fires with a :class:`~.results.ConformanceResult`, even without an answer.
#: Cancelled, it skips the remaining checks.
grade = startedBy(prepareGrade)
