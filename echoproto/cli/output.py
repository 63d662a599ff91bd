"""
Where a measurement is written, and in which form: text for people; JSON, NDJSON and CSV for programs.

Each form has two verbs: ``seen``, as probes are answered, and ``end``. Called by the measuring commands.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any

import click

from echoproto.cli.options import option
from echoproto.measure.ping.pinger import PingResult
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report import text
from echoproto.report.document import measurement, seenValues

#: The title under which such options stand in the help.
OUTPUT = "What is shown"


def outputOptions(*forms: str) -> Callable[[Any], Any]:
    """Give a command the options that say in which of these forms it writes, and where; the first unless told otherwise."""
    said = f"{', '.join(forms[:-1])} or {forms[-1]}.  [{forms[0]}]"
    form = option(
        OUTPUT,
        "-o",
        "--output",
        metavar="FORM",
        type=click.Choice(forms),
        default=forms[0],
        help=said,
    )
    out = option(OUTPUT, "--out", metavar="FILE", help="Write there, not to the standard output.")
    return lambda command: form(out(command))


@contextmanager
def opened(path: str | None) -> Iterator[IO[str]]:
    """A file to write to; the standard output where there is no path."""
    if path is None:
        yield sys.stdout
        return
    try:
        made = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.UsageError(f"--out {path}: {error.strerror}") from error
    yield made
    # What cannot be written was told when it was: each line is flushed.
    with suppress(OSError):
        made.close()


class Guarded:
    """
    Calls what writes, until it cannot.

    :param failed: called once then, with what to say of it: nothing where nobody reads any more, which is no error, as with ``head``.
    """

    def __init__(self, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._over = False

    def __call__(self, write: Callable[..., None], *what: Any) -> None:
        """Call ``write`` with ``what``."""
        if self._over:
            return
        try:
            write(*what)
        except OSError as error:
            self._over = True
            nobody = isinstance(error, BrokenPipeError)
            self._failed("" if nobody else f"cannot write: {error.strerror}; the rest is lost")


class Form:
    """
    Writes nothing; the base of those that do.

    :param stream: where to write.
    :param stamp: makes what stands before a line of text.
    :param quiet: whether only the end is written, and what is wrong.
    """

    def __init__(self, stream: IO[str], stamp: Callable[[], str], quiet: bool = False) -> None:
        self.stream = stream
        self._stamp = stamp
        self._quiet = quiet

    def begin(self, target: str, address: str, size: int) -> None:
        """A target is about to be probed."""

    def seen(self, target: str, at: int, seen: ProbeOutcome) -> None:
        """A reply has come, or none."""

    def end(self, results: Sequence[PingResult], started: str, session: str) -> None:
        """All targets are done."""

    def line(self, text: str) -> None:
        """Write a line, now."""
        print(text, file=self.stream, flush=True)


class Text(Form):
    """Lines as ping has them."""

    def begin(self, target: str, address: str, size: int) -> None:
        """Who is asked, and with how much."""
        where = f" ({address})" if address and address not in target else ""
        self.line(f"ECHO {target}{where}, {size} bytes")

    def seen(self, target: str, at: int, seen: ProbeOutcome) -> None:
        """One line each."""
        if not self._quiet or seen.kind not in (OutcomeKind.REPLY, OutcomeKind.LOST):
            self.line(f"{self._stamp()}{text.seenLine(target, seen)}")

    def end(self, results: Sequence[PingResult], started: str, session: str) -> None:
        """A summary of each target."""
        for each in results:
            self.line(text.summary(each))


class JSON(Form):
    """One document at the end."""

    def end(self, results: Sequence[PingResult], started: str, session: str) -> None:
        """Everything."""
        self.line(json.dumps(measurement(results, started, session), indent=2))


class NDJSON(Form):
    """A line of JSON for each probe as it is answered, and one for each target at the end."""

    def seen(self, target: str, at: int, seen: ProbeOutcome) -> None:
        """One probe."""
        self.line(json.dumps({"type": "probe", **seenValues(target, at, seen)}))

    def end(self, results: Sequence[PingResult], started: str, session: str) -> None:
        """The summaries."""
        for each in measurement(results, started, session)["targets"]:
            self.line(
                json.dumps({"type": "summary", "started": started, "session": session, **each})
            )


class CSV(Form):
    """A row for each probe."""

    _header = False

    def seen(self, target: str, at: int, seen: ProbeOutcome) -> None:
        """One row; the names of the columns before the first."""
        values = seenValues(target, at, seen)
        rows = csv.writer(self.stream, lineterminator="\n")
        if not self._header:
            self._header = True
            rows.writerow(values)
        rows.writerow(values.values())
        self.stream.flush()


FORMS: dict[str, Any] = {"text": Text, "json": JSON, "ndjson": NDJSON, "csv": CSV}
