"""
``echoproto load``: loads an echo server over many connections, in an open or a closed loop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import click

from echoproto.cli.ending import ASSERTION_FAILED, INTERRUPTED, NO_REPLY, WELL, WRONG_BYTES
from echoproto.cli.once import Once
from echoproto.cli.output import OUTPUT, opened, outputOptions
from echoproto.cli.parameters import (
    ASSERTION,
    CONTEXT,
    COUNT,
    DURATION,
    RATE,
    SIZES,
    TARGET,
    Grouped,
    option,
)
from echoproto.cli.way import TARGETS, targetsOf, wayOf, wayOptions
from echoproto.measure import LoadPlan, LoadResult, prepareLoad
from echoproto.measure.arrivals import fixed, poisson
from echoproto.measure.document import loadAssertable, loadValues
from echoproto.measure.text import loadSummary

_LOAD = "The load"

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto load lab1                            ten connections, as fast as replies come
  echoproto load -c 100 -z 1m -q 5000 lab1       5,000 a second, come what may
  echoproto load -s 1-4096 --window 8 -n 100000 tls://lab1:7

\b
With -q the response time counts from when a message should have been sent, so a server that stops shows in it.
Exit status: 0 well, 1 no or too few replies, 2 usage or local error, 3 wrong bytes, 4 an assertion failed,
130 interrupted.
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
    default="fixed",
    help="With -q: fixed or poisson.  [fixed]",
)
@option(
    _LOAD,
    "--window",
    type=COUNT,
    default="1",
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
    help="How long replies are awaited.  [2s]",
)
@wayOptions
@outputOptions("text", "json")
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
    duration = given["duration"] or (None if given["count"] else 10_000_000_000)
    plan = LoadPlan(
        connections=given["connections"],
        duration=duration,
        count=given["count"],
        window=given["window"],
        times=_times(given),
        rate=given["rate"],
        warmup=given["warmup"],
        timeout=given["timeout"],
    )
    with opened(given["out"]) as stream:
        once = Once("load", stream)
        return once.run(
            lambda reactor: prepareLoad(reactor, asked[0], plan, given["sizes"], wayOf(given)),
            lambda result: _show(once, result, given),
        )


def _times(given: dict[str, Any]) -> Iterator[int] | None:
    if given["rate"] is None:
        return None
    return (
        fixed(given["rate"]) if given["arrivals"] == "fixed" else poisson(given["rate"], Random())
    )


def _show(once: Once, result: LoadResult, given: dict[str, Any]) -> int:
    if given["output"] == "json":
        once.line(json.dumps(loadValues(result), indent=2))
    else:
        once.line(loadSummary(result))
    failures = [each.failure(loadAssertable(result)) for each in given["assertions"]]
    for failure in filter(None, failures):
        once.complain(failure)
    if result.wrong:
        return WRONG_BYTES
    if once.interrupted and not result.received:
        return INTERRUPTED
    if any(failures):
        return ASSERTION_FAILED
    return WELL if result.received and (once.interrupted or not result.lost) else NO_REPLY
