"""
``echoproto greet``: one greeting exchange, on any carrier.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

import click

from echoproto.cli.declarations import command, option
from echoproto.cli.options import TARGET_HELP, TargetOptions
from echoproto.cli.paramtypes import TIMEOUT

_option = partial(option, "Greeting options")

_EPILOG = f"""\b
{TARGET_HELP}

\b
Examples:
  echoproto greet lab1:12346
  echoproto greet -m 'Hello from lab2' udp://lab1:12346
  echoproto greet --expect 'Hello, client! This is the server.' lab1:12346

\b
Exit status: 0 success, 1 no reply or an echo service, 2 usage or local error,
3 another reply than expected, 130 interrupted.
"""


@dataclass(frozen=True, kw_only=True)
class GreetOptions(TargetOptions):
    """The options of ``echoproto greet``; times in nanoseconds."""

    message: str = _option(
        "-m",
        metavar="TEXT",
        default="Hello, server! This is the client.",
        show_default=False,
        help="Greeting to send.  [default: Hello, server! This is the client.]",
    )
    expect: str | None = _option(
        metavar="TEXT", help="Exit with status 3 unless this is the reply."
    )
    timeout: int = _option("-W", type=TIMEOUT, default="10s", help="Time to wait for the reply.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.message:
            raise click.UsageError("an empty --message has no reply")

    @property
    def greeting(self) -> bytes:
        """The bytes that were typed, even if they are not text."""
        return os.fsencode(self.message)


greetCommand = command(
    "greet",
    GreetOptions,
    "Send one greeting to a greeting server, and print the reply.",
    _EPILOG,
)
