"""
The run of ``echoproto verify``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from echoproto.cli.exitcodes import INTERRUPTED, NO_REPLY, OK, WRONG_BYTES
from echoproto.cli.output import Values
from echoproto.cli.sessions.session import ReportedSession
from echoproto.cli.verify import VerifyOptions
from echoproto.measure.api import VerifyResult, prepareVerify
from echoproto.measure.verify.datagrams import DEFAULT_DATAGRAM_RATE, DEFAULT_DATAGRAM_SIZE
from echoproto.measure.verify.integrity import Fault, FaultKind
from echoproto.measure.verify.verifier import STOPPED, Verifier
from echoproto.report.documents.values import valuesOf
from echoproto.report.documents.verify import VerifyConfiguration, verifyDocument
from echoproto.report.text import verifyLine, verifySummary
from echoproto.text.units import SECOND

#: Faults that are shown; a server of another kind may cause one for every datagram.
MAX_SHOWN = 100


def runVerify(options: VerifyOptions) -> int:
    """Run it; returns the exit status."""
    return VerifySession(options).run()


class VerifySession(ReportedSession[Verifier, Fault, VerifyResult]):
    """Shows faults as they are found, then the summary."""

    command = "verify"

    options: VerifyOptions

    def __init__(self, options: VerifyOptions) -> None:
        super().__init__(options)
        self.hasBar = not options.quiet
        self._shown = 0

    def prepare(self, reactor: IReactorTime) -> Deferred[Verifier]:
        """See :class:`.Session`."""
        return prepareVerify(
            reactor,
            self.target,
            size=self.options.size,
            seed=self.options.seed,
            datagramSize=self.options.datagram or DEFAULT_DATAGRAM_SIZE,
            rate=self.options.rate or DEFAULT_DATAGRAM_RATE,
            timeout=self.options.timeout,
            connect=self.options.connect,
            onFault=self.write,
        )

    def begin(self, measurement: Verifier, reactor: IReactorTime) -> None:
        """Write the heading, and a line every minute; stop after the duration."""
        heading = f"VERIFY {measurement.target.name}, seed {measurement.snapshot().seed}"
        self.runner.write(self.writer.heading(heading))
        if self.options.duration:
            reactor.callLater(self.options.duration / SECOND, measurement.finish)
        if not self.options.quiet:
            self.runner.repeat(60, partial(self._showMinute, measurement))

    def _showMinute(self, measurement: Verifier) -> None:
        sofar = measurement.snapshot()
        line = f"{sofar.duration // (60 * SECOND)} min: {verifyLine(sofar)}"
        self.runner.write(self.writer.heading(line))

    def share(self, measurement: Verifier) -> float:
        """See :class:`.Session`."""
        sofar, size = measurement.snapshot(), self.options.size
        share = sofar.received / size if size else sofar.duration / (self.options.duration or 1)
        return min(share, 1.0)

    def figures(self, measurement: Verifier) -> Iterable[str]:
        """See :class:`.Session`."""
        return (verifyLine(measurement.snapshot()),)

    def isEmpty(self, result: VerifyResult) -> bool:
        """See :class:`.ReportedSession`."""
        return not result.sent

    def status(self, result: VerifyResult, interrupted: bool, hasFailed: bool) -> int:
        """See :class:`.ReportedSession`."""
        if any(kind.isWrong for kind in result.counts):
            return WRONG_BYTES
        if interrupted and not result.received:
            return INTERRUPTED
        # Without any byte nothing was verified, even if it ended at its time.
        isMissing = (
            not result.received or result.counts[FaultKind.CUT] or result.counts[FaultKind.LOST]
        )
        return NO_REPLY if isMissing or result.ending not in ("", STOPPED) else OK

    def eventLines(self, event: Fault) -> Iterable[str]:
        """See :class:`.ResultView`."""
        self._shown += 1
        if self.options.quiet or self._shown > MAX_SHOWN + 1:
            return ()
        return ("more faults are counted, not shown" if self._shown > MAX_SHOWN else str(event),)

    def resultLines(self, result: VerifyResult) -> Iterable[str]:
        """See :class:`.ResultView`."""
        return (verifySummary(result),)

    def document(self, result: VerifyResult) -> Values:
        """See :class:`.ResultView`."""
        configuration = valuesOf(VerifyConfiguration, self.options)
        return verifyDocument(result, self.origin, configuration)
