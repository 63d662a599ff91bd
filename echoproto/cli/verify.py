"""
``echoproto verify``: sends a known stream, and compares every byte of the echo.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.options import (
    OUTPUT_OPTIONS,
    SEED,
    SEND_TIME,
    SIZE,
    TARGET_HELP,
    TIMEOUT,
    OutputOptions,
    TargetOptions,
    command,
    connectOptionsOf,
    option,
    outputOptions,
    targetOf,
    targetOptions,
)
from echoproto.cli.output import (
    ResultView,
    TextWriter,
    Values,
    makeWriter,
    opened,
    startTime,
)
from echoproto.cli.progress import ProgressStage
from echoproto.cli.runner import MeasurementRunner
from echoproto.measure.api import VerifyResult, prepareVerify
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import STOPPED, StreamVerifier
from echoproto.report.document import verifyDocument
from echoproto.report.schema import VerifyConfiguration
from echoproto.report.text import verifyLine, verifySummary
from echoproto.units import SECOND

_TITLE = "Stream options"

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto verify lab1                          64 MiB
  echoproto verify --bytes 10GiB tls://lab1:7    a soak test
  echoproto verify -z 1h --seed 7 lab1           for an hour, the same bytes

\b
A fault is flipped, dropped, inserted, duplicated or foreign bytes, with its
offset. Exit status: 0 success, 1 no or too few bytes, 2 usage or local error,
3 wrong bytes, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(TargetOptions, OutputOptions):
    """The options of ``echoproto verify``; times in nanoseconds."""

    size: int
    duration: int | None
    seed: int | None
    timeout: int
    quiet: bool


@command("verify", VerifyOptions, _EPILOG)
@option(_TITLE, "--bytes", "size", type=SIZE, default="64MiB", help="How many bytes to send.")
@option(_TITLE, "-z", "--duration", type=SEND_TIME, help="How long to send, instead of --bytes.")
@option(_TITLE, "--seed", type=SEED, help="Seed of the bytes.  [default: random]")
@option(
    _TITLE,
    "-t",
    "--timeout",
    type=TIMEOUT,
    default="5s",
    help="Give up if no byte arrives for this time.",
)
@targetOptions()
@option(OUTPUT_OPTIONS, "-q", "--quiet", is_flag=True, help="Show only the summary.")
@outputOptions("text", "json")
def verifyCommand(options: VerifyOptions) -> int:
    """Send a known stream to an echo server, and compare every byte of the echo."""
    target = targetOf(options)
    size = None if options.duration else options.size
    writer: TextWriter[Fault, VerifyResult] = makeWriter(options.output, VerifyView(options))

    def onStart(verifier: StreamVerifier, reactor: IReactorTime) -> None:
        heading = f"VERIFY {verifier.target.name}, seed {verifier.snapshot().seed}"
        runner.write(writer.heading(heading))
        if options.duration:
            reactor.callLater(options.duration / SECOND, verifier.finish)

    def progress(verifier: StreamVerifier) -> ProgressStage:
        sofar = verifier.snapshot()
        share = sofar.received / size if size else sofar.duration / (options.duration or 1)
        return ProgressStage(min(share, 1.0), verifyLine(sofar))

    def show(result: VerifyResult) -> int:
        runner.writeResult(writer.result(result), isEmpty=not result.sent)
        return verifyStatus(result, runner.interrupted)

    with opened(options.out) as stream:
        runner = MeasurementRunner[StreamVerifier](
            "verify", stream, target.text, onStart, progress, hasBar=not options.quiet
        )
        return runner.run(
            lambda reactor: prepareVerify(
                reactor,
                target,
                size=size,
                seed=options.seed,
                timeout=options.timeout,
                connect=connectOptionsOf(options),
                onFault=lambda fault: runner.write(writer.event(fault)),
            ),
            show,
        )


class VerifyView(ResultView[Fault, VerifyResult]):
    """
    Faults, and the summary.

    :param options: of the command.
    """

    def __init__(self, options: VerifyOptions) -> None:
        self._quiet = options.quiet
        self._started = startTime()
        self._configuration = VerifyConfiguration(
            size_bytes=None if options.duration else options.size,
            duration_ns=options.duration,
            timeout_ns=options.timeout,
        )

    def eventLines(self, event: Fault) -> Iterable[str]:
        """See :class:`ResultView`."""
        return () if self._quiet else (str(event),)

    def resultLines(self, result: VerifyResult) -> Iterable[str]:
        """See :class:`ResultView`."""
        return (verifySummary(result),)

    def document(self, result: VerifyResult) -> Values:
        """See :class:`ResultView`."""
        return verifyDocument(result, self._started, self._configuration)


def verifyStatus(result: VerifyResult, interrupted: bool) -> int:
    """The exit status: of several that fit, the most important one."""
    if set(result.counts) - {FaultKind.CUT}:
        return WRONG_BYTES
    if interrupted and not result.received:
        return INTERRUPTED
    return NO_REPLY if result.counts or result.ending not in ("", STOPPED) else OK
