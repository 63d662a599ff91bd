"""
``echoproto verify``: sends a known stream, and checks every byte that comes back.
"""

from __future__ import annotations

import json
from typing import Any

import click

from echoproto.cli.conformance import listChecks, runSuite, suiteOptions, wantsSuite
from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import (
    CONTEXT,
    DURATION,
    SEED,
    SIZE,
    TARGET,
    Grouped,
    option,
)
from echoproto.cli.output import OUTPUT, opened, outputOptions
from echoproto.cli.progress import Stage
from echoproto.cli.runner import MeasurementRunner
from echoproto.cli.way import TARGETS, connectOptions, connectOptionsOf, targetsOf
from echoproto.measure.api import VerifyResult, prepareVerify
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import STOPPED, StreamVerifier
from echoproto.report.document import verification
from echoproto.report.text import integritySummary, progressLine
from echoproto.units import SECOND

_STREAM = "The stream"

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto verify lab1                          64 MiB
  echoproto verify --bytes 10GiB tls://lab1:7    a soak
  echoproto verify -z 1h --seed 7 lab1           for an hour, bytes of choice
  echoproto verify --suite all lab1:7            is it an echo, whatever its clients do?

\b
Faults are flipped, dropped, inserted, duplicated or someone else's bytes, each with its offset.
Exit status: 0 well, 1 no or too few bytes, 2 usage or local error, 3 wrong bytes or a check that
failed, 130 interrupted.
"""


@click.command("verify", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("targets", metavar="TARGET", nargs=-1, type=TARGET)
@option(_STREAM, "--bytes", "size", type=SIZE, default="64MiB", help="To send.  [64MiB]")
@option(_STREAM, "-z", "--duration", type=DURATION, help="Send for so long instead.")
@option(_STREAM, "--seed", type=SEED, help="Of the bytes.  [random]")
@option(
    _STREAM,
    "-W",
    "--wait",
    type=DURATION,
    default="5s",
    help="Give up after so long without a byte.  [5s]",
)
@suiteOptions
@connectOptions
@option(OUTPUT, "-q", "--quiet", is_flag=True, help="Only the summary, and what failed.")
@outputOptions("text", "json")
def verify(targets: Any, **given: Any) -> int:
    """Send a known stream to an echo server, and check every byte that comes back."""
    if given["list"]:
        return listChecks(given)
    asked = targetsOf(targets, given)
    if len(asked) > 1:
        raise click.UsageError("one TARGET is verified at a time")
    if wantsSuite(given):
        return runSuite(asked[0], given)
    size = None if given["duration"] else given["size"]
    with opened(given["out"]) as stream:

        def tell(fault: Fault) -> None:
            if not given["quiet"] and given["output"] == "text":
                once.line(str(fault))

        def begun(verifying: StreamVerifier, reactor: Any) -> None:
            if given["output"] == "text":
                once.line(f"VERIFY {verifying.target.name}, seed {verifying.snapshot().seed}")
            if given["duration"]:
                reactor.callLater(given["duration"] / SECOND, verifying.finish)

        def progress(verifying: StreamVerifier) -> Stage:
            sofar = verifying.snapshot()
            done = sofar.received / size if size else sofar.duration / given["duration"]
            return Stage(min(done, 1.0), progressLine(sofar))

        shown = None if given["quiet"] else progress
        once = MeasurementRunner("verify", stream, begun, shown, asked[0].text)
        return once.run(
            lambda reactor: prepareVerify(
                reactor,
                asked[0],
                size=size,
                seed=given["seed"],
                timeout=given["wait"],
                connect=connectOptionsOf(given),
                onFault=tell,
            ),
            lambda result: _show(once, result, given["output"]),
        )


def _show(once: MeasurementRunner, result: VerifyResult, form: str) -> int:
    if form == "json":
        once.line(json.dumps(verification(result), indent=2))
    else:
        once.line(integritySummary(result))
    if set(result.counts) - {FaultKind.CUT}:
        return WRONG_BYTES
    if once.interrupted and not result.received:
        return INTERRUPTED
    return NO_REPLY if result.counts or result.ending not in ("", STOPPED) else OK
