"""
Measuring echo servers, any: round trips, loss, order and damage, as values.

``result = await ping(reactor, "udp://lab1", Plan(count=10))``; ``result.record.times.percentile(99)``. Needs the libraries of the
extra ``measure``. All but :mod:`.asking`, :mod:`.pinging`, :mod:`.verifying`, :mod:`.loading` and :mod:`.suite` is pure: no
clock, no reactor, no socket; and those have their clock passed in.

==================== ==========================================================
:mod:`.asking`        :func:`ping`, :func:`verify` and :func:`load`
:mod:`.durations`     ``20ms`` and ``1.5s``
:mod:`.spread`        times in a histogram, percentiles
:mod:`.probes`        what a probe carries, and whose reply a datagram is
:mod:`.record`        what was sent, what came back, and what is wrong with it
:mod:`.pinging`       sends at its times, and listens
:mod:`.assertions`    ``p99<5ms``
:mod:`.source`        a stream of which every part is known
:mod:`.integrity`     what is wrong with it when it comes back, and where
:mod:`.verifying`     sends it, and has it checked
:mod:`.arrivals`      when to send in an open loop
:mod:`.loading`       many connections, every exchange timed
:mod:`.lanes`         one of them: which message the next reply must be
:mod:`.datagramlane`  the same of datagrams, and :mod:`.numbered` what those carry
:mod:`.usage`         how much of a processor we have had
:mod:`.timers`        the calls that a load has yet to make
:mod:`.tally`         what they count, second by second
:mod:`.sharing`       a load that several processes share
:mod:`.loadresult`    what a load is to do, and what became of it
:mod:`.suite`         :func:`grade`: a battery of checks of any server
:mod:`.text`          a result in words
:mod:`.document`      a result as values for JSON
:mod:`.intervals`     a run second by second
:mod:`.report`        saved results: read, merged, compared and drawn
==================== ==========================================================
"""

from __future__ import annotations

from echoproto.client.finding import Way
from echoproto.measure.asking import load, ping, prepare, prepareLoad, prepareVerify, verify
from echoproto.measure.integrity import Fault
from echoproto.measure.loadresult import LoadPlan, LoadResult
from echoproto.measure.pinging import PingResult, Plan
from echoproto.measure.record import Seen
from echoproto.measure.report.comparing import Comparison, compare
from echoproto.measure.report.merging import mergeResults
from echoproto.measure.report.reading import readResults
from echoproto.measure.report.saved import Saved
from echoproto.measure.suite.asking import grade, prepareGrade
from echoproto.measure.suite.grades import Grade, SuiteResult, Verdict
from echoproto.measure.verifying import VerifyResult

__all__ = [
    "Comparison",
    "Fault",
    "Grade",
    "LoadPlan",
    "LoadResult",
    "PingResult",
    "Plan",
    "Saved",
    "Seen",
    "SuiteResult",
    "Verdict",
    "VerifyResult",
    "Way",
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
