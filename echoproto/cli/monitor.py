"""
``echoproto monitor``: probes many echo servers for as long as it runs, for Prometheus.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from echoproto.cli.declarations import argument, command, option
from echoproto.cli.paramtypes import ParsedParamType
from echoproto.errors import StartupError

if TYPE_CHECKING:
    from echoproto.server.config.listener import Listener

_option = partial(option, "Monitor options")

_EPILOG = """\b
FILE is TOML. Keys at the top are defaults of all targets:
  interval = "1s"
  wait = "2s"
  [[target]]
  url = ["udp://lab1:7", "tls://lab2:7"]
  labels = { site = "lab" }
  [[target]]
  url = "tcp://lab3:7"
  reconnect = true

\b
Further keys: size, buckets, lookup, family, source, ca, insecure. SIGHUP
reads FILE again; if it is invalid, the old targets stay.

\b
Examples:
  echoproto monitor targets.toml
  echoproto monitor --status tcp:9110 --web --probe targets.toml
  echoproto monitor --check targets.toml

\b
Exit status: 0 stopped or FILE is valid, 2 usage or local error.
"""


def _parseStatus(text: str) -> Listener:
    # Imported only here, because help does not need it.
    from echoproto.server.config.status import statusListener

    listener = statusListener(text)
    if listener.layers.proxy is not None:
        raise StartupError("--status: proxy= is for servers; use a listener without it")
    return listener


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """The options of ``echoproto monitor``."""

    files: tuple[str, ...] = argument("FILE")
    check: bool = _option(is_flag=True, help="Check FILE, and exit.")
    status: Listener = _option(  # noqa: RUF009 - a field
        metavar="LISTENER",
        type=ParsedParamType("listener", _parseStatus),
        default="9110",
        help="Port or description of the listener of /metrics; a port is on 127.0.0.1.",
    )
    web: bool = _option(is_flag=True, help="Show the state of every target on a page at /.")
    probe: bool = _option(
        is_flag=True, help="Serve /probe?target=..., by which clients probe any server."
    )
    log_format: str = _option(
        metavar="FORMAT",
        type=click.Choice(["text", "json"]),
        default="text",
        help="Format of the log on the standard output: text or json.",
    )

    @property
    def file(self) -> str:
        """The file with the targets."""
        if len(self.files) != 1:
            raise click.UsageError("missing FILE" if not self.files else "give one FILE")
        return self.files[0]


monitorCommand = command(
    "monitor",
    MonitorOptions,
    "Probe many echo servers for as long as it runs, and serve the figures for Prometheus.",
    _EPILOG,
)
