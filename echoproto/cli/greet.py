"""
``echoproto greet``: one greeting exchange, on any carrier.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from echoproto.cli.exitcodes import OK, WRONG_BYTES
from echoproto.cli.options import (
    TARGET_HELP,
    TIMEOUT,
    TargetOptions,
    command,
    connectOptionsOf,
    option,
    targetOf,
    targetOptions,
)
from echoproto.escape import escaped
from echoproto.units import SECOND

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from echoproto.targets.stream import StreamTarget
    from echoproto.targets.udp import UDPTarget

_TITLE = "Greeting options"

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto greet lab1:12346
  echoproto greet -m 'Anybody there?' udp://lab1:12346
  echoproto greet --expect 'Hello, client! This is the server.' lab1:12346

\b
Exit status: 0 success, 1 no reply, 2 usage or local error, 3 another reply
than expected, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class GreetOptions(TargetOptions):
    """
    The options of ``echoproto greet``.

    :ivar message: the default greeting if ``None``.
    :ivar timeout: nanoseconds.
    """

    message: str | None
    expect: str | None
    timeout: int


@command("greet", GreetOptions, _EPILOG)
@option(
    _TITLE,
    "-m",
    "--message",
    metavar="TEXT",
    help="Greeting to send.  [default: Hello, server! This is the client.]",
)
@option(_TITLE, "--expect", metavar="TEXT", help="Exit with status 3 unless this is the reply.")
@option(_TITLE, "-t", "--timeout", type=TIMEOUT, default="10s", help="Time to wait for the reply.")
@targetOptions()
def greetCommand(options: GreetOptions) -> int:
    """Send one greeting to a greeting server, and print the reply."""
    target = targetOf(options)
    if options.message == "":
        raise click.UsageError("an empty --message has no reply")
    from echoproto.cli.runner import MeasurementRunner
    from echoproto.protocols.greeting import CLIENT_GREETING
    from echoproto.targets.endpoints import makeTarget

    # The bytes that were typed, even if they are not text.
    message = CLIENT_GREETING if options.message is None else os.fsencode(options.message)
    runner = MeasurementRunner[_Greeting](
        "greet", sys.stdout, target.text, snapshot=lambda greeting: ("waiting for the reply",)
    )

    def prepare(reactor: IReactorTime) -> Deferred[_Greeting]:
        found = makeTarget(
            reactor,
            target,
            len(message),
            time.monotonic_ns,
            connectOptionsOf(options),
            options.timeout,
        )
        return found.addCallback(_Greeting, reactor, message, options.timeout / SECOND)

    def show(reply: bytes) -> int:
        # Escaped, so that no server can control the terminal.
        runner.write([escaped(reply)])
        if options.expect is None or reply == os.fsencode(options.expect):
            return OK
        runner.complain(f"the reply is not {options.expect!r}")
        return WRONG_BYTES

    return runner.run(prepare, show)


class _Greeting:
    """One exchange, as a :class:`~echoproto.measure.measurement.Measurement`."""

    def __init__(
        self,
        target: StreamTarget | UDPTarget,
        reactor: IReactorTime,
        message: bytes,
        timeout: float,
    ) -> None:
        self.target = target
        self._exchange = (reactor, message, timeout)
        self.result: Deferred[bytes]

    def start(self) -> None:
        """Send the greeting."""
        from echoproto.client.greeting import greet, greetDatagram
        from echoproto.targets.udp import UDPTarget

        if isinstance(self.target, UDPTarget):
            self.result = greetDatagram(self.target, *self._exchange)
        else:
            self.result = greet(self.target.endpoint, *self._exchange)

    def stop(self) -> None:
        """Wait no longer."""
        self.result.cancel()
