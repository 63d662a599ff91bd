"""
Measurements as one call: from what is written to a result.

What programs and the command use; it brings together what the other modules of the package do not know of each other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import cycle
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail

from echoproto.errors import TargetError
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.cpu import cpuTime
from echoproto.measure.load.datagrams import LEAST, numbered
from echoproto.measure.load.generator import LoadGenerator
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger, PingPlan, PingResult
from echoproto.measure.ping.statistics import PingStatistics, ProbeOutcome
from echoproto.measure.verify.integrity import Fault, IntegrityChecker
from echoproto.measure.verify.pattern import PatternStream
from echoproto.measure.verify.verifier import StreamVerifier, VerifyResult
from echoproto.targets.endpoints import ConnectOptions, makeTarget
from echoproto.targets.target import Target, parseTarget
from echoproto.units import SECOND

#: Bytes of a probe unless told otherwise: as many as ping's ICMP messages have.
SIZE = 64

#: Messages of a load that differ from each other; so a reply in another's place is wrong.
MESSAGES = 64

#: Bytes that are verified unless told otherwise.
VERIFY_SIZE = 64 << 20


def prepare(
    reactor: Any,
    target: str | Target,
    plan: PingPlan | None = None,
    size: int = SIZE,
    pattern: bytes = b"",
    way: ConnectOptions | None = None,
    tell: Callable[[ProbeOutcome], None] = lambda seen: None,
    now: Callable[[], int] = time.monotonic_ns,
    session: bytes = b"",
) -> Deferred[Pinger]:
    """
    Make ready to probe an echo server: look its name up, read the certificates.

    :param reactor: reaches the target, and keeps the time.
    :param target: ``lab1``, ``udp://lab1:7`` and so on (:mod:`echoproto.targets.target`).
    :param plan: how many probes, and when; without an end where it names none, until it is cancelled.
    :param size: bytes of a probe.
    :param pattern: what fills it; bytes that no other probe has where empty.
    :param way: how to get there.
    :param tell: called with each reply and each loss.
    :param now: the time in nanoseconds, which never goes back.
    :param session: four bytes that tell this run from others; random where empty.
    :return: fires with a :class:`~echoproto.measure.ping.pinger.Pinger`, to be started. Fails with ``DNSLookupError`` or
        ``TargetError``.
    :raise ValueError: the target cannot be understood.
    """
    asked = parseTarget(target) if isinstance(target, str) else target
    plan = plan if plan is not None else PingPlan()
    record = PingStatistics(ProbePayload(session or os.urandom(4), size, pattern), plan.patience)
    finding = makeTarget(reactor, asked, size, now, way)
    return finding.addCallback(Pinger, reactor, now, record, plan, tell)


def ping(reactor: Any, target: str | Target, *arguments: Any, **named: Any) -> Deferred[PingResult]:
    """
    Probe an echo server: :func:`prepare`, with the same parameters, and start.

    :return: fires with a :class:`PingResult`, also where no reply came. Fails as :func:`prepare` does, and with what TLS has
        to say where a certificate is not trusted. Cancelled, it fires with what there is so far.
    :raise ValueError: the target cannot be understood.
    """

    def start(pinging: Pinger) -> Deferred[PingResult]:
        pinging.start()
        return pinging.result

    return prepare(reactor, target, *arguments, **named).addCallback(start)


def prepareVerify(
    reactor: Any,
    target: str | Target,
    size: int | None = VERIFY_SIZE,
    seed: int | None = None,
    patience: int = 5 * SECOND,
    way: ConnectOptions | None = None,
    tell: Callable[[Fault], None] = lambda fault: None,
    now: Callable[[], int] = time.monotonic_ns,
) -> Deferred[StreamVerifier]:
    """
    Make ready to verify an echo server on a stream.

    :param reactor: reaches the target, and keeps the time.
    :param target: ``lab1``, ``tls://lab1:7`` and so on, not on UDP.
    :param size: bytes to send; ``None`` for any number, until it is stopped.
    :param seed: of the bytes; a random one where ``None``.
    :param patience: nanoseconds without a byte, after which it is over.
    :param way: how to get there.
    :param tell: called with each fault.
    :param now: the time in nanoseconds, which never goes back.
    :return: fires with a :class:`~echoproto.measure.verify.verifier.StreamVerifier`, to be started. Fails as :func:`prepare` does.
    :raise ValueError: the target cannot be understood.
    """
    asked = parseTarget(target) if isinstance(target, str) else target
    source = PatternStream(int.from_bytes(os.urandom(4), "big") if seed is None else seed)
    finding = makeTarget(reactor, asked, None, now, way)
    return finding.addCallback(
        StreamVerifier, reactor, now, IntegrityChecker(source), size, patience, tell
    )


def verify(
    reactor: Any, target: str | Target, *arguments: Any, **named: Any
) -> Deferred[VerifyResult]:
    """
    Send a known stream to an echo server, and check every byte that comes back: :func:`prepareVerify`, with the same
    parameters, and start.

    :return: fires with a :class:`VerifyResult`, also where bytes were wrong. Fails as :func:`prepareVerify` does, and with why there
        is no connection. Cancelled, it fires with what there is so far.
    :raise ValueError: the target cannot be understood.
    """

    def start(verifying: StreamVerifier) -> Deferred[VerifyResult]:
        verifying.start()
        return verifying.result

    return prepareVerify(reactor, target, *arguments, **named).addCallback(start)


def prepareLoad(
    reactor: Any,
    target: str | Target,
    plan: LoadPlan | None = None,
    sizes: tuple[int, int] = (SIZE, SIZE),
    way: ConnectOptions | None = None,
    now: Callable[[], int] = time.monotonic_ns,
    seed: int | None = None,
    tell: Callable[[Interval, IntervalCounts], None] = lambda *second: None,
) -> Deferred[LoadGenerator]:
    """
    Make ready to load an echo server.

    :param reactor: reaches the target, and keeps the time.
    :param target: ``lab1``, ``udp://lab1:7`` and so on.
    :param plan: how many connections, how long, how often.
    :param sizes: the least and the most bytes of a message, of a datagram at least :data:`~.load.datagrams.LEAST`; sizes between are as frequent as each other.
    :param way: how to get there.
    :param now: the time in nanoseconds, which never goes back.
    :param seed: of the messages; a random one where ``None``.
    :param tell: called with each second when it is over.
    :return: fires with a :class:`~echoproto.measure.load.generator.LoadGenerator`, to be started. Fails as :func:`prepare` does.
    :raise ValueError: the target cannot be understood.
    """
    asked = parseTarget(target) if isinstance(target, str) else target
    random = Random(seed)
    session = random.randbytes(4)
    datagrams = asked.carrier == "udp"
    if datagrams and sizes[0] < LEAST:
        return fail(
            TargetError(
                f"{asked.text}: a datagram of a load has its number; give -s {LEAST} or more"
            )
        )
    payloads = [
        ProbePayload(session, random.randint(*sizes)).make(number, 0) for number in range(MESSAGES)
    ]
    messages = (
        numbered(session, [each[LEAST:] for each in payloads]) if datagrams else cycle(payloads)
    )
    finding = makeTarget(reactor, asked, sizes[1] if datagrams else None, now, way)
    return finding.addCallback(
        LoadGenerator, reactor, now, cpuTime, messages, plan or LoadPlan(), tell
    )


def load(reactor: Any, target: str | Target, *arguments: Any, **named: Any) -> Deferred[LoadResult]:
    """
    Load an echo server: :func:`prepareLoad`, with the same parameters, and start.

    :return: fires with a :class:`LoadResult`. Fails as :func:`prepareLoad` does, and with why there is no connection.
        Cancelled, it fires with what there is so far.
    :raise ValueError: the target cannot be understood.
    """

    def start(loading: LoadGenerator) -> Deferred[LoadResult]:
        loading.start()
        return loading.result

    return prepareLoad(reactor, target, *arguments, **named).addCallback(start)
