"""
``echoproto ping``: probes as ping sends them, to any echo server.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.python.failure import Failure

from echoproto.cli.exitcodes import (
    ASSERTION_FAILED,
    INTERRUPTED,
    LOCAL_ERROR,
    NO_REPLY,
    OK,
    WRONG_BYTES,
    complain,
)
from echoproto.cli.options import (
    ASSERTION,
    CONTEXT,
    COUNT,
    DURATION,
    INTERVAL,
    PATTERN,
    PROBE_SIZE,
    TARGET,
    Grouped,
    option,
)
from echoproto.cli.output import FORMS, OUTPUT, Form, Guarded, opened, outputOptions
from echoproto.cli.way import TARGETS, connectOptions, connectOptionsOf, targetsOf
from echoproto.measure.api import DEFAULT_SIZE, PingPlan, PingResult, preparePing
from echoproto.measure.assertions import Assertion
from echoproto.measure.ping.payload import ProbePayload
from echoproto.measure.ping.pinger import Pinger
from echoproto.measure.ping.statistics import OutcomeKind, ProbeOutcome
from echoproto.report.document import assertable
from echoproto.report.text import snapshotLine
from echoproto.targets.endpoints import ConnectOptions
from echoproto.targets.failures import describeFailure
from echoproto.targets.target import Target

_EPILOG = f"""\b
{TARGETS} A DURATION is 20ms, 1.5s, or 3 for seconds.

\b
Examples:
  echoproto ping lab1                         until Ctrl-C
  echoproto ping -c 10 -i 20ms udp://lab1:7   ten datagrams, 50 a second
  echoproto ping -A -q -w 10s lab1 lab2       as fast as replies come, two servers
  echoproto ping -c 100 --assert 'p99<5ms' --assert 'loss<=1%' lab1

\b
Ctrl-\\ prints the figures so far. Exit status: 0 well, 1 no or too few replies,
2 usage or local error, 3 wrong bytes, 4 an assertion failed, 130 interrupted.
"""


class Session:
    """
    One run of the command: all targets at once, until the last is done.

    :param reactor: reaches them.
    :param form: writes.
    :param complain: writes a line about what is wrong.
    :ivar session: its number.
    """

    def __init__(self, reactor: Any, form: Form, complain: Callable[[str], None]) -> None:
        self.session = os.urandom(4)
        self._results: dict[int, PingResult] = {}
        self.failed = self.interrupted = False
        self._write = Guarded(self._unwritable)
        self._reactor = reactor
        self._form = form
        self._complain = complain
        self._preparing: set[Deferred[Any]] = set()
        self._pinging: list[Pinger] = []
        self._started = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._began = time.monotonic_ns()

    def start(
        self, targets: Sequence[Target], way: ConnectOptions, plan: PingPlan, **probe: Any
    ) -> None:
        """Ask all of them; the reactor is stopped when they are done."""
        asked = [self._ask(place, each, way, plan, probe) for place, each in enumerate(targets)]
        DeferredList(asked).addCallback(lambda _: self._reactor.stop())
        for number, call in ((signal.SIGINT, self.interrupt), (signal.SIGTERM, self.interrupt)):
            self._on(number, call)
        self._on(signal.SIGQUIT, self.show)

    def _on(self, number: int, call: Callable[[], None]) -> None:
        signal.signal(number, lambda *_: self._reactor.callFromThread(call))

    @property
    def results(self) -> list[PingResult]:
        """Those that there are, in the order of the targets, whichever was done first."""
        return [self._results[each] for each in sorted(self._results)]

    def _ask(
        self, place: int, target: Target, way: ConnectOptions, plan: PingPlan, probe: dict[str, Any]
    ) -> Any:
        name = target.text

        def tell(seen: ProbeOutcome) -> None:
            self._write(self._form.seen, name, time.monotonic_ns() - self._began, seen)

        def prepared(result: Any) -> Any:
            self._preparing.discard(asking)
            return result

        def begin(pinging: Pinger) -> Any:
            nonlocal name
            name = pinging.target.name
            self._write(self._form.begin, name, pinging.target.address, pinging.target.size)
            self._pinging.append(pinging)
            pinging.start()
            return pinging.result

        def failed(failure: Failure) -> None:
            if failure.check(CancelledError):
                return
            self.failed = True
            self._complain(describeFailure(failure, target.text))

        asking = preparePing(
            self._reactor, target, plan, connect=way, onReply=tell, session=self.session, **probe
        )
        self._preparing.add(asking)
        ended = asking.addBoth(prepared).addCallback(begin)
        return ended.addCallbacks(lambda result: self._results.update({place: result}), failed)

    def _unwritable(self, describeFailure: str) -> None:
        if describeFailure:
            self.failed = True
            self._complain(describeFailure)
        self._reactor.callLater(0, self.interrupt)

    def interrupt(self) -> None:
        """End now, with what there is."""
        self.interrupted = True
        # A name that is being looked up has a thread, which is waited for; another Ctrl-C is the end of it all.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        for each in list(self._preparing):
            each.cancel()
        for pinging in self._pinging:
            pinging.stop()

    def show(self) -> None:
        """The figures so far."""
        for each in self._pinging:
            self._complain(snapshotLine(each.snapshot()))

    def end(self) -> None:
        """Write the summaries."""
        self._write(self._form.end, self.results, self._started, self.session.hex())


def status(
    results: Sequence[PingResult], failed: bool, interrupted: bool, plan: PingPlan, broken: bool
) -> int:
    """The exit status: of several, the one that tells most."""
    if failed:
        return LOCAL_ERROR
    if any(each.record.counts[OutcomeKind.CORRUPT] for each in results):
        return WRONG_BYTES
    if interrupted and not any(each.record.received for each in results):
        return INTERRUPTED
    if broken:
        return ASSERTION_FAILED
    wanted = plan.count if plan.count and plan.deadline and not interrupted else 1
    return NO_REPLY if any(each.record.received < wanted for each in results) else OK


def _broken(results: Sequence[PingResult], assertions: Sequence[Assertion]) -> list[str]:
    return [
        f"{each.target}: {why}"
        for each in results
        for assertion in assertions
        if (why := assertion.failure(assertable(each.record)))
    ]


_PROBES = "Probes"


@click.command("ping", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("targets", metavar="TARGET...", nargs=-1, type=TARGET)
@option(_PROBES, "-c", "--count", type=COUNT, help="So many.  [until Ctrl-C]")
@option(_PROBES, "-i", "--interval", type=INTERVAL, default="1s", help="Between two.  [1s]")
@option(_PROBES, "-w", "--deadline", type=DURATION, help="End after so long.")
@option(
    _PROBES, "-W", "--wait", type=DURATION, default="2s", help="A reply after that is late.  [2s]"
)
@option(
    _PROBES,
    "-s",
    "--size",
    type=PROBE_SIZE,
    default=DEFAULT_SIZE,
    help=f"Bytes of each.  [{DEFAULT_SIZE}]",
)
@option(
    _PROBES,
    "-p",
    "--pattern",
    type=PATTERN,
    default=b"",
    help="What fills them.  [no two the same]",
)
@option(_PROBES, "-A", "--adaptive", is_flag=True, help="The next when a reply has come.")
@option(_PROBES, "--reconnect", is_flag=True, help="A new connection for each.")
@connectOptions
@option(OUTPUT, "-q", "--quiet", is_flag=True, help="Only what is wrong, and the summary.")
@option(OUTPUT, "-n", "--numeric", is_flag=True, help="Call targets by their addresses.")
@option(OUTPUT, "-D", "--timestamps", is_flag=True, help="The time before each line.")
@outputOptions(*FORMS)
@option(
    OUTPUT,
    "--assert",
    "assertions",
    type=ASSERTION,
    multiple=True,
    help="Exit status 4 unless it holds.",
)
def ping(targets: tuple[Target, ...], **given: Any) -> int:
    """Probe echo servers (RFC 862), as ping does: round trips, loss, order and damage."""
    asked = targetsOf(targets, given)
    plan = PingPlan(
        *(
            given[each]
            for each in ("count", "interval", "deadline", "wait", "adaptive", "reconnect")
        )
    )
    way = connectOptionsOf(given)
    with opened(given["out"]) as stream:
        form = FORMS[given["output"]](
            stream, _stamp if given["timestamps"] else str, given["quiet"]
        )
        return _run(form, asked, plan, way, given)


def _stamp() -> str:
    return f"[{time.time():.6f}] "


def _run(
    form: Form,
    targets: Sequence[Target],
    plan: PingPlan,
    way: ConnectOptions,
    given: dict[str, Any],
) -> int:
    from echoproto.reactors.install import installReactor

    reactor = installReactor(None)
    session = Session(reactor, form, _complain)
    if fallback := ProbePayload(b"", given["size"]).fallback:
        _complain(fallback)
    reactor.callWhenRunning(
        session.start, targets, way, plan, size=given["size"], pattern=given["pattern"]
    )
    reactor.run()
    session.end()
    broken = _broken(session.results, given["assertions"])
    for each in broken:
        _complain(each)
    return status(session.results, session.failed, session.interrupted, plan, bool(broken))


def _complain(line: str) -> None:
    complain(f"echoproto ping: {line}")
