"""
``echoproto greet``: one greeting exchange, over any carrier.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from twisted.internet.defer import Deferred

from echoproto.cli.exitcodes import OK, WRONG_BYTES
from echoproto.cli.options import CONTEXT, DURATION, TARGET, Grouped, option
from echoproto.cli.runner import MeasurementRunner
from echoproto.cli.way import TARGETS, connectOptions, connectOptionsOf, targetsOf
from echoproto.client.greeting import greet as greetStream
from echoproto.client.greeting import greetDatagram
from echoproto.escape import printable
from echoproto.protocols.greeting import CLIENT_GREETING
from echoproto.targets.endpoints import makeTarget
from echoproto.targets.udp import UDPTarget
from echoproto.units import SECOND

_EPILOG = f"""\b
{TARGETS}

\b
Examples:
  echoproto greet lab1:12346
  echoproto greet -m 'Anybody there?' udp://lab1:12346
  echoproto greet --expect 'Hello, client! This is the server.' tls://lab1:12346

\b
Exit status: 0 well, 1 no reply, 2 usage or local error, 3 not the reply that was expected,
130 interrupted.
"""


@click.command("greet", Grouped, epilog=_EPILOG, context_settings=CONTEXT)
@click.argument("targets", metavar="TARGET", nargs=-1, type=TARGET)
@option("The greeting", "-m", "--message", default=CLIENT_GREETING.decode(), help="What to say.")
@option("The greeting", "--expect", metavar="TEXT", help="Exit status 3 unless this is the reply.")
@option(
    "The greeting", "-W", "--wait", type=DURATION, default="10s", help="So long at most.  [10s]"
)
@connectOptions
def greet(targets: Any, **given: Any) -> int:
    """Greet a greeting server once, and print its reply."""
    asked = targetsOf(targets, given)
    if len(asked) > 1:
        raise click.UsageError("one TARGET is greeted at a time")
    if not given["message"]:
        raise click.UsageError("an empty --message says nothing, and has no answer")
    # As it was typed, also where that is no text.
    message, timeout = os.fsencode(given["message"]), given["wait"] / SECOND
    once = MeasurementRunner("greet", sys.stdout, target=asked[0].text)

    def prepare(reactor: Any) -> Deferred[Any]:
        finding = makeTarget(
            reactor, asked[0], len(message), reactor.seconds, connectOptionsOf(given)
        )
        return finding.addCallback(_Greeting, reactor, message, timeout)

    return once.run(prepare, lambda reply: _show(once, reply, given["expect"]))


class _Greeting:
    """One greeting, as :class:`.runner.MeasurementRunner` runs measurements."""

    def __init__(self, found: Any, reactor: Any, message: bytes, timeout: float) -> None:
        self.target = found
        self._ask = (reactor, message, timeout)
        self.result: Deferred[bytes]

    def start(self) -> None:
        """Ask."""
        if isinstance(self.target, UDPTarget):
            self.result = greetDatagram(self.target, *self._ask)
        else:
            self.result = greetStream(self.target.endpoint, *self._ask)

    def stop(self) -> None:
        """Wait no longer."""
        self.result.cancel()


def _show(once: MeasurementRunner, reply: bytes, expected: str | None) -> int:
    # Whatever a server says, it does nothing to the terminal.
    once.line(printable(reply.decode("utf-8", "backslashreplace")))
    if expected is None or reply == os.fsencode(expected):
        return OK
    once.complain(f"the reply is not {expected!r}")
    return WRONG_BYTES
