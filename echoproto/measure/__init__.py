"""
Measuring echo servers, any: round trips, loss, order and damage, as values.

``result = await ping(reactor, "udp://lab1", Plan(count=10))``; ``result.record.times.percentile(99)``. Needs the libraries of the
extra ``measure``. All but :mod:`.api`, :mod:`.ping.pinger`, :mod:`.verify.verifier`, :mod:`.load.generator` and :mod:`echoproto.conformance` is pure: no
clock, no reactor, no socket; and those have their clock passed in.

==================== ==========================================================
:mod:`.api`        :func:`ping`, :func:`verify` and :func:`load`
:mod:`echoproto.units`     ``20ms`` and ``1.5s``
:mod:`.latency`        times in a histogram, percentiles
:mod:`.ping.payload`        what a probe carries, and whose reply a datagram is
:mod:`.ping.statistics`        what was sent, what came back, and what is wrong with it
:mod:`.ping.pinger`       sends at its times, and listens
:mod:`.assertions`    ``p99<5ms``
:mod:`.verify.pattern`        a stream of which every part is known
:mod:`.verify.integrity`     what is wrong with it when it comes back, and where
:mod:`.verify.verifier`     sends it, and has it checked
:mod:`.load.schedule`      when to send in an open loop
:mod:`.load.generator`       many connections, every exchange timed
:mod:`.load.connections`         one of them: which message the next reply must be
:mod:`.load.datagrams`  the same of datagrams, and :mod:`.load.datagrams` what those carry
:mod:`.load.cpu`         how much of a processor we have had
:mod:`.load.timers`        the calls that a load has yet to make
:mod:`.load.counters`         what they count, second by second
:mod:`.load.partition`       a load that several processes share
:mod:`.load.plan`    what a load is to do, and what became of it
:mod:`echoproto.conformance`         :func:`grade`: a battery of checks of any server
:mod:`echoproto.report.text`          a result in words
:mod:`echoproto.report.document`      a result as values for JSON
:mod:`.intervals`     a run second by second
:mod:`echoproto.report`        saved results: read, merged, compared and drawn
==================== ==========================================================
"""

from __future__ import annotations

from echoproto.conformance.api import grade, prepareGrade
from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult
from echoproto.measure.api import load, ping, prepare, prepareLoad, prepareVerify, verify
from echoproto.measure.load.plan import LoadPlan, LoadResult
from echoproto.measure.ping.pinger import PingPlan, PingResult
from echoproto.measure.ping.statistics import ProbeOutcome
from echoproto.measure.verify.integrity import Fault
from echoproto.measure.verify.verifier import VerifyResult
from echoproto.report.compare import Comparison, compare
from echoproto.report.loader import readResults
from echoproto.report.merge import mergeResults
from echoproto.report.result import StoredResult
from echoproto.targets.endpoints import ConnectOptions

__all__ = [
    "CheckResult",
    "CheckVerdict",
    "Comparison",
    "ConformanceResult",
    "ConnectOptions",
    "Fault",
    "LoadPlan",
    "LoadResult",
    "PingPlan",
    "PingResult",
    "ProbeOutcome",
    "StoredResult",
    "VerifyResult",
    "compare",
    "grade",
    "load",
    "mergeResults",
    "ping",
    "prepare",
    "prepareGrade",
    "prepareLoad",
    "prepareVerify",
    "readResults",
    "verify",
]
