"""
``echoproto verify``: sends a known stream, and checks every byte that comes back.
"""

from __future__ import annotations

import json
import sys
from typing import IO, Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from echoproto.cli.ending import INTERRUPTED, LOCAL_ERROR, NO_REPLY, WELL, WRONG_BYTES, why
from echoproto.cli.output import Guarded, opened
from echoproto.cli.parameters import (
    CONTEXT,
    DURATION,
    SEED,
    SIZE,
    TARGET,
    Grouped,
    option,
)
from echoproto.cli.way import TARGETS, targetsOf, wayOf, wayOptions
from echoproto.client.targets import Target
from echoproto.errors import ExchangeError
from echoproto.measure import VerifyResult, prepareVerify
from echoproto.measure.document import verification
from echoproto.measure.integrity import Fault, FaultKind
from echoproto.measure.pinging import SECOND
from echoproto.measure.text import integritySummary, progressLine
from echoproto.measure.verifying import STOPPED, Verifying

_STREAM, _OUTPUT = "The stream", "What is shown"

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto verify lab1                          64 MiB
  echoproto verify --bytes 10GiB tls://lab1:7    a soak
  echoproto verify -z 1h --seed 7 lab1           for an hour, bytes of choice

\b
Faults are flipped, dropped, inserted, duplicated or someone else's bytes, each with its offset.
Exit status: 0 well, 1 no or too few bytes, 2 usage or local error, 3 wrong bytes, 130 interrupted.
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
@wayOptions
@option(_OUTPUT, "-q", "--quiet", is_flag=True, help="Only the summary.")
@option(
    _OUTPUT,
    "-o",
    "--output",
    metavar="FORM",
    type=click.Choice(["text", "json"]),
    default="text",
    help="text or json.  [text]",
)
@option(_OUTPUT, "--out", metavar="FILE", help="Write there, not to the standard output.")
def verify(targets: Any, **given: Any) -> int:
    """Send a known stream to an echo server, and check every byte that comes back."""
    asked = targetsOf(targets, given)
    if len(asked) > 1:
        raise click.UsageError("one TARGET is verified at a time")
    with opened(given["out"]) as stream:
        return _Run(stream, given).run(asked[0])


class _Run:
    """One run of the command."""

    def __init__(self, stream: IO[str], given: dict[str, Any]) -> None:
        self._stream = stream
        self._write = Guarded(self._unwritable)
        self._given = given
        self._verifying: Any = None
        self._status: int | None = None
        self._progress: LoopingCall | None = None
        # Whether the reactor is stopping already.
        self._down = False

    def run(self, target: Target) -> int:
        from echoproto.server.foreground import installReactor

        self._reactor = installReactor(None)
        self._reactor.callWhenRunning(self._begin, target)
        # Ctrl-C stops the reactor.
        self._reactor.addSystemEventTrigger("before", "shutdown", self._shutDown)
        self._reactor.run()
        return INTERRUPTED if self._status is None else self._status

    def _begin(self, target: Target) -> None:
        given = self._given
        size = None if given["duration"] else given["size"]
        preparing: Deferred[Any] = prepareVerify(
            self._reactor, target, size, given["seed"], given["wait"], wayOf(given), self._tell
        )
        preparing.addCallback(self._start).addCallbacks(self._show, self._fail)
        preparing.addCallback(self._end)

    def _start(self, verifying: Verifying) -> Deferred[VerifyResult]:
        self._verifying = verifying
        if self._given["output"] == "text":
            self._line(f"VERIFY {verifying.target.name}, seed {verifying.snapshot().seed}")
        verifying.start()
        if self._given["duration"]:
            self._reactor.callLater(self._given["duration"] / SECOND, verifying.finish)
        if sys.stderr.isatty():
            self._progress = LoopingCall(self._showProgress)
            self._progress.clock = self._reactor
            self._progress.start(1, now=False)
        return verifying.result

    def _tell(self, fault: Fault) -> None:
        if not self._given["quiet"] and self._given["output"] == "text":
            self._line(str(fault))

    def _showProgress(self) -> None:
        click.echo(f"\r{progressLine(self._verifying.snapshot())}  ", err=True, nl=False)

    def _show(self, result: VerifyResult) -> int:
        if self._given["output"] == "json":
            self._line(json.dumps(verification(result), indent=2))
        else:
            self._line(integritySummary(result))
        wrong = set(result.counts) - {FaultKind.CUT}
        if wrong:
            return WRONG_BYTES
        if result.ending == STOPPED and not result.received:
            return INTERRUPTED
        return NO_REPLY if result.counts or result.ending not in ("", STOPPED) else WELL

    def _fail(self, failure: Failure) -> int:
        _complain(why(failure))
        return NO_REPLY if failure.check(ConnectError, ExchangeError) else LOCAL_ERROR

    def _line(self, text: str) -> None:
        self._write(lambda: print(text, file=self._stream, flush=True))

    def _unwritable(self, why: str) -> None:
        if why:
            self._status = LOCAL_ERROR
            _complain(why)
        self._reactor.callLater(0, self._interrupt)

    def _interrupt(self) -> None:
        if self._verifying is not None:
            self._verifying.stop()

    def _shutDown(self) -> None:
        self._down = True
        self._interrupt()

    def _end(self, status: int) -> None:
        if self._progress is not None:
            self._progress.stop()
            click.echo(err=True)
        self._status = status if self._status is None else self._status
        if not self._down:
            self._reactor.stop()


def _complain(line: str) -> None:
    click.echo(f"echoproto verify: {line}", err=True)
