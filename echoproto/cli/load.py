"""
``echoproto load``: loads an echo server over many connections, in an open or a closed loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from twisted.internet.defer import Deferred, succeed

from echoproto.cli.exitcodes import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.loadoutput import LOAD_FORMS
from echoproto.cli.options import (
    ASSERTION,
    CONTEXT,
    COUNT,
    DURATION,
    RATE,
    SIZES,
    TARGET,
    WINDOW,
    WORKERS,
    Grouped,
    option,
)
from echoproto.cli.output import OUTPUT, opened, outputOptions
from echoproto.cli.progress import Stage
from echoproto.cli.runner import MeasurementRunner
from echoproto.cli.way import TARGETS, connectOptions, connectOptionsOf, targetsOf
from echoproto.measure.api import LoadPlan, LoadResult, prepareLoad
from echoproto.measure.assertions import Assertion
from echoproto.measure.intervals import Interval
from echoproto.measure.load.counters import IntervalCounts
from echoproto.measure.load.messages import LoadAssignment
from echoproto.measure.load.partition import sendTimes, splitPlan
from echoproto.measure.load.workers import LoadWorkerPool
from echoproto.report.document import loadAssertable
from echoproto.report.text import loadLine
from echoproto.targets.target import Target
from echoproto.units import SECOND

_LOAD = "The load"

#: How long to send unless told otherwise.
_DURATION = 10 * SECOND

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto load lab1                       as fast as replies come
  echoproto load -c 100 -z 1m -q 5000 lab1  5,000 a second, come what may
  echoproto load -s 1-4096 --window 8 -n 100000 tls://lab1:7
  echoproto load --workers auto -c 1000 -o ndjson udp://lab1

\b
With -q the response time counts from when a message should have been sent, so
a server that stops shows in it. What limits the client is told per worker.
Our own server answers a source 1,000 datagrams a second: --datagram-rate 0
lifts that.
Exit status: 0 well, 1 no or too few replies, 2 usage or local error, 3 wrong
bytes, 4 an assertion failed, 130 interrupted.
"""


@click.command("load", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("targets", metavar="TARGET", nargs=-1, type=TARGET)
@option(_LOAD, "-c", "--connections", type=COUNT, default="10", help="So many.  [10]")
@option(_LOAD, "-z", "--duration", type=DURATION, help="Send for so long.  [10s]")
@option(_LOAD, "-n", "--count", type=COUNT, help="Send so many instead.")
@option(_LOAD, "-q", "--rate", type=RATE, help="Messages a second in all: an open loop.")
@option(
    _LOAD,
    "--arrivals",
    metavar="HOW",
    type=click.Choice(["fixed", "poisson"]),
    help="With -q: fixed or poisson.  [fixed]",
)
@option(
    _LOAD,
    "--window",
    type=WINDOW,
    help="Without -q: under way on each connection.  [1]",
)
@option(
    _LOAD,
    "-s",
    "--size",
    "sizes",
    type=SIZES,
    default="64",
    help="Bytes of a message, or MIN-MAX.  [64]",
)
@option(
    _LOAD, "--warmup", type=DURATION, default="0", help="Do not count what is sent so early.  [0]"
)
@option(
    _LOAD,
    "-t",
    "--timeout",
    type=DURATION,
    default="2s",
    help="How long replies are awaited; UDP: until given up.  [2s]",
)
@option(_LOAD, "--workers", type=WORKERS, default="1", help="Processes that share all of it.  [1]")
@connectOptions
@outputOptions(*LOAD_FORMS)
@option(
    OUTPUT,
    "--assert",
    "assertions",
    type=ASSERTION,
    multiple=True,
    help="Exit status 4 unless it holds.",
)
def load(targets: Any, **given: Any) -> int:
    """Load an echo server over many connections, and time every exchange."""
    asked = targetsOf(targets, given)
    if len(asked) > 1:
        raise click.UsageError("one TARGET is loaded at a time")
    duration = _duration(given)
    rate = given["rate"]
    plan = LoadPlan(
        connections=given["connections"],
        duration=duration,
        count=given["count"],
        window=given["window"] or 1,
        times=None if rate is None else sendTimes(given["arrivals"] or "fixed", rate),
        rate=rate,
        warmup=given["warmup"],
        timeout=given["timeout"],
    )
    form = LOAD_FORMS[given["output"]]()
    with opened(given["out"]) as stream:
        once = MeasurementRunner("load", stream, progress=_progress, target=asked[0].text)

        def tell(interval: Interval, counts: IntervalCounts) -> None:
            for line in form.second(interval):
                once.line(line)

        def show(result: LoadResult) -> int:
            for line in form.end(result):
                once.line(line)
            return _status(once, result, given["assertions"])

        def prepare(reactor: Any) -> Deferred[Any]:
            if given["workers"] > 1:
                orders = _orders(asked[0], plan, given)
                return succeed(LoadWorkerPool(reactor, plan, orders, tell, once.fault))
            return prepareLoad(
                reactor,
                asked[0],
                plan,
                sizes=given["sizes"],
                connect=connectOptionsOf(given),
                onInterval=tell,
            )

        return once.run(prepare, show)


def _duration(given: dict[str, Any]) -> int | None:
    """How long to send; checks that what is said goes together."""
    if given["duration"] == 0:
        raise click.UsageError("-z 0 would send nothing; give a time, or -n")
    if given["rate"] is None and given["arrivals"]:
        raise click.UsageError("--arrivals needs -q, the messages a second")
    if given["rate"] is not None and given["window"]:
        raise click.UsageError("--window is of a closed loop, without -q")
    if given["timeout"] < SECOND // 1000:
        raise click.UsageError("-t must be 1ms at least")
    duration: int | None = given["duration"]
    if duration is None and not given["count"]:
        duration = _DURATION
    if duration is not None and given["warmup"] >= duration:
        raise click.UsageError("--warmup leaves nothing to count; give -z more")
    return duration


def _progress(loading: Any) -> Stage:
    share, figures = loading.stage()
    return Stage(share, loadLine(*figures))


def _orders(target: Target, plan: LoadPlan, given: dict[str, Any]) -> list[LoadAssignment]:
    """What each worker is to do."""
    shares = splitPlan(plan, given["workers"])
    way, arrivals = connectOptionsOf(given), (given["arrivals"] or "fixed", plan.rate)
    return [
        LoadAssignment(target, share, given["sizes"], way, *arrivals, index, len(shares))
        for index, share in enumerate(shares)
    ]


def _status(once: MeasurementRunner, result: LoadResult, assertions: Sequence[Assertion]) -> int:
    failures = [each.failure(loadAssertable(result)) for each in assertions]
    for failure in filter(None, failures):
        once.complain(failure)
    if result.wrong:
        return WRONG_BYTES
    if once.interrupted and not result.received:
        return INTERRUPTED
    if any(failures):
        return ASSERTION_FAILED
    few = result.lost or result.sent < (result.plan.count or 0)
    return OK if result.received and (once.interrupted or not few) else NO_REPLY
