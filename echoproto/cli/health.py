"""
``echoproto health``: whether a server runs, or is ready.

:mod:`.entry` runs the check without this module, which has the help and reports mistakes.
"""

from __future__ import annotations

import click

from echoproto.cli.declarations import CONTEXT
from echoproto.cli.healthcheck import DEFAULT_URL, checkHealth

_EPILOG = f"""\b
URL is that of the status listener: http://HOST:PORT, HOST:PORT, a port of
this machine, or unix:PATH.  [default: {DEFAULT_URL}]

\b
Examples:
  echoproto health
  echoproto health --ready 9100
  echoproto health unix:/run/echoproto/status

\b
Exit status: 0 healthy, 1 not healthy or no answer within 5 seconds, 2 usage.
"""


@click.command("health", context_settings=CONTEXT, epilog=_EPILOG)
@click.option("--ready", is_flag=True, help="Ask whether new clients are served.")
@click.argument("url", default=DEFAULT_URL)
def healthCommand(ready: bool, url: str) -> int:
    """Ask the status listener of a server whether it is healthy, and print the answer."""
    try:
        return checkHealth(url, ready)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
