"""
The measurements as functions: :func:`ping`, :func:`load` and :func:`verify`.

Each connects to a target, measures it and returns a ``Deferred`` that fires with the result: a
:class:`PingResult`, even without a reply, a :class:`LoadResult` or a :class:`VerifyResult`, even
with faults. It fails if the target can never be measured. Cancelled, it fires with the figures so
far, but a load with several workers kills them and fails with ``CancelledError``.

The ``prepare`` functions have the same parameters, and return a
:class:`~echoproto.client.measurement.Measurement` that the caller starts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from echoproto.client.measurement import Measurement, startedBy
from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.endpoints import makeTarget
from echoproto.client.targets.target import Target, parseTarget
from echoproto.errors import TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.cpu import cpuTime
from echoproto.measure.load.datagrams import MINIMUM_SIZE
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.messages import loadAssignments
from echoproto.measure.load.partition import withTimes
from echoproto.measure.load.payloads import loadMessages
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.load.workers import LoadWorkerPool
from echoproto.measure.ping.echoplus import (
    MINIMUM_PROBE_SIZE,
    EchoPlusPayload,
    EchoPlusStatistics,
)
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.plan import PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.measure.verify.datagrams import (
    DEFAULT_DATAGRAM_RATE,
    DEFAULT_DATAGRAM_SIZE,
    DatagramVerifier,
)
from echoproto.measure.verify.integrity import Fault, IntegrityChecker
from echoproto.measure.verify.pattern import PatternStream
from echoproto.measure.verify.streams import StreamVerifier
from echoproto.measure.verify.verifier import Verifier, VerifyResult
from echoproto.text.units import SECOND

__all__ = [
    "ConnectOptions",
    "Fault",
    "Interval",
    "IntervalCounts",
    "LoadPlan",
    "LoadResult",
    "Measurement",
    "PingPlan",
    "PingResult",
    "ProbeOutcome",
    "VerifyResult",
    "load",
    "ping",
    "prepareLoad",
    "preparePing",
    "prepareVerify",
    "verify",
]

#: Bytes of a probe or message by default: the size of ping's ICMP messages.
DEFAULT_SIZE = 64

#: Bytes that are verified by default.
DEFAULT_VERIFY_SIZE = 64 << 20


def preparePing(
    reactor: IReactorTime,
    target: str | Target,
    plan: PingPlan = PingPlan(),
    *,
    size: int = DEFAULT_SIZE,
    pattern: bytes = b"",
    connect: ConnectOptions = ConnectOptions(),
    onReply: Callable[[ProbeOutcome], None] = lambda outcome: None,
    monotonicNs: Callable[[], int] = time.monotonic_ns,
    session: bytes = b"",
) -> Deferred[Pinger]:
    """
    Prepare to probe an echo server: resolve its name, read the certificates.

    :param reactor: connects to the target, and calls later.
    :param target: ``lab1``, ``udp://lab1:7`` and so on (:mod:`echoproto.client.targets.target`).
    :param plan: how many probes, and when; by default one each second until cancelled.
    :param size: bytes of a probe.
    :param pattern: fills the probes; if empty, each has bytes of its own.
    :param connect: options of the connection.
    :param onReply: called with each reply and each loss.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :param session: four bytes that distinguish this run from others; random if empty.
    :return: fires with a :class:`~echoproto.measure.ping.pinger.Pinger`, to be started. Fails with
        ``DNSLookupError`` or ``TargetError``.
    :raise ValueError: the target is invalid.
    """
    parsed, session = _parsed(target), session or os.urandom(4)
    record: PingStatistics
    if plan.mode == "udp-plus":
        if parsed.carrier != "udp" or size < MINIMUM_PROBE_SIZE:
            return fail(
                TargetError(
                    f"{parsed.text}: UDPEchoPlus needs a target udp://HOST:PORT and probes of "
                    f"{MINIMUM_PROBE_SIZE} bytes or more"
                )
            )
        record = EchoPlusStatistics(EchoPlusPayload(session, size, pattern), plan.timeout)
    else:
        record = PingStatistics(ProbePayload(session, size, pattern), plan.timeout)
    began = monotonicNs()
    making = makeTarget(reactor, parsed, size, monotonicNs, connect, plan.deadline)
    return making.addCallback(Pinger, reactor, monotonicNs, record, plan, onReply, began)


#: Probe an echo server.
ping = startedBy(preparePing)


def prepareVerify(
    reactor: IReactorTime,
    target: str | Target,
    *,
    size: int | None = DEFAULT_VERIFY_SIZE,
    seed: int | None = None,
    datagramSize: int = DEFAULT_DATAGRAM_SIZE,
    rate: float = DEFAULT_DATAGRAM_RATE,
    timeout: int = 5 * SECOND,
    connect: ConnectOptions = ConnectOptions(),
    onFault: Callable[[Fault], None] = lambda fault: None,
    monotonicNs: Callable[[], int] = time.monotonic_ns,
) -> Deferred[Verifier]:
    """
    Prepare to verify an echo server.

    :param reactor: connects to the target, and calls later.
    :param target: ``lab1``, ``udp://lab1:7`` and so on.
    :param size: bytes to send; ``None`` to send until stopped.
    :param seed: seed of the bytes; random if ``None``.
    :param datagramSize: bytes of a datagram on UDP.
    :param rate: datagrams per second on UDP.
    :param timeout: nanoseconds without received data after which it ends.
    :param connect: options of the connection.
    :param onFault: called with each fault, except for repeated and reordered datagrams.
    :param monotonicNs: a monotonic clock, in nanoseconds.
    :return: fires with a :class:`~echoproto.measure.verify.verifier.Verifier`, to be started.
        Fails as :func:`preparePing` does.
    :raise ValueError: the target is invalid.
    """
    pattern = PatternStream(int.from_bytes(os.urandom(4), "big") if seed is None else seed)
    parsed = _parsed(target)
    isUDP = parsed.carrier == "udp"
    unit = datagramSize if isUDP else None
    making = makeTarget(reactor, parsed, unit, monotonicNs, connect, timeout)
    if isUDP:
        return making.addCallback(
            DatagramVerifier, reactor, monotonicNs, pattern, size, rate, timeout, onFault
        )
    return making.addCallback(
        StreamVerifier, reactor, monotonicNs, IntegrityChecker(pattern), size, timeout, onFault
    )


#: Send a known stream to an echo server, and compare every byte of the echo.
verify = startedBy(prepareVerify)


def prepareLoad(
    reactor: IReactorTime,
    target: str | Target,
    plan: LoadPlan = LoadPlan(),
    *,
    connect: ConnectOptions = ConnectOptions(),
    monotonicNs: Callable[[], int] = time.monotonic_ns,
    seed: int | None = None,
    onInterval: Callable[[Interval, IntervalCounts], None] = lambda interval, counts: None,
    workers: int = 1,
    onWorkerFailure: Callable[[str], None] = lambda line: None,
) -> Deferred[LoadGenerator | LoadWorkerPool]:
    """
    Prepare to load an echo server.

    :param reactor: connects to the target, and calls later; with ``workers``, starts processes.
    :param target: ``lab1``, ``udp://lab1:7`` and so on.
    :param plan: how many connections, how long, how often.
    :param connect: options of the connections.
    :param monotonicNs: a monotonic clock, in nanoseconds; worker processes use their own.
    :param seed: seed of the messages; random if ``None``, and in worker processes.
    :param onInterval: called at the end of each second.
    :param workers: number of processes that share the load; 1 for none besides this one.
    :param onWorkerFailure: called with one line for each worker that fails while others succeed.
    :return: fires with a :class:`~echoproto.measure.load.generator.LoadGenerator` or, if there are
        several workers, a :class:`~echoproto.measure.load.workers.LoadWorkerPool`, to be started.
        Fails as :func:`preparePing` does.
    :raise ValueError: the target is invalid, or the plan has ``times``, which workers cannot share.
    """
    parsed = _parsed(target)
    isUDP = parsed.carrier == "udp"
    if isUDP and (problem := _datagramProblem(plan)):
        return fail(TargetError(f"{parsed.text}: {problem}"))
    if workers > 1:
        assignments = loadAssignments(parsed, plan, connect, workers)
        return succeed(LoadWorkerPool(reactor, plan, assignments, onInterval, onWorkerFailure))
    plan = withTimes(plan)
    if plan.allAddresses:
        connect = replace(connect, turn=plan.firstConnection)
    messages = loadMessages(isUDP, plan.sizes, Random(seed))
    size = plan.sizes[1] if isUDP else None
    lookupTime = (plan.duration or 0) + plan.timeout
    making = makeTarget(reactor, parsed, size, monotonicNs, connect, lookupTime)
    return making.addCallback(
        LoadGenerator, reactor, monotonicNs, cpuTime, messages, plan, onInterval
    )


#: Load an echo server, and time every exchange.
load = startedBy(prepareLoad)


def _datagramProblem(plan: LoadPlan) -> str:
    """Why a load over UDP cannot have this plan; empty if it can."""
    if plan.reconnect:
        return "UDP has no connection for each message"
    if plan.sizes[0] < MINIMUM_SIZE:
        return f"the datagrams of a load carry a sequence number; give -s {MINIMUM_SIZE} or more"
    return ""


def _parsed(target: str | Target) -> Target:
    return parseTarget(target) if isinstance(target, str) else target
