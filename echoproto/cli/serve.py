"""
``echoproto serve``: the options of ``twistd echoproto``, and those of a process of its own.

It runs an :class:`echoproto.server.application.EchoprotoService`, or with ``--workers`` a
:class:`echoproto.server.workers.supervisor.Supervisor`, by :mod:`echoproto.server.runner`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import click
from twisted.logger import Logger
from twisted.python.usage import UsageError

from echoproto.cli.paramtypes import parseWorkers
from echoproto.processes.resources import processorLimit
from echoproto.reactors.install import installReactor
from echoproto.server.application import EchoprotoService
from echoproto.server.commandline.options import Options
from echoproto.server.commandline.parameter import Parameter
from echoproto.server.config.settings import Settings
from echoproto.server.privileges import identityFromText
from echoproto.server.runner import runForeground, startLog
from echoproto.server.signals import ignoreRotation, resetSignals

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from echoproto.server.workers.worker import WorkerConfig

_EXAMPLES = """
Examples:
  echoproto serve                               echo on port 12345
  echoproto serve --port 7 --uid nobody         a low port; root only to open it
  echoproto serve --port 12345 --workers auto   one process per processor
  echoproto serve -p 7 -p tcp:8007:proxy=any --status 9100
  echoproto serve -p 7 --status 9100 --lame-duck=5s  behind a balancer
Exit status: 0 after a clean drain, 1 if it could not start or killed a worker,
2 usage, or --uid is not permitted.
"""


_GROUP = "Process"

_log = Logger()


def _parseLogFormat(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError(f"invalid format {text!r} (text or json)")
    return text


_PROCESS = (
    Parameter(
        "workers",
        _GROUP,
        "Number of processes, or auto: one per processor. Limits are per process.",
        "1",
        parseWorkers,
        metavar="N",
    ),
    Parameter(
        "reactor",
        _GROUP,
        "Twisted's reactor. [default: direct on Linux]",
        short="r",
        metavar="NAME",
    ),
    Parameter(
        "uid",
        _GROUP,
        "User to become once the listeners are open, by name or number.",
        short="u",
        metavar="USER",
    ),
    Parameter("gid", _GROUP, "Group to become. [default: the group of the user]", metavar="GROUP"),
    Parameter(
        "log-format",
        _GROUP,
        "Format of the log on standard output: text or json.",
        "text",
        _parseLogFormat,
        metavar="FORMAT",
    ),
)


class ServeOptions(Options):
    """The command line of ``echoproto serve``."""

    synopsis = "Usage: echoproto serve [options]"
    examples = _EXAMPLES
    parameters: ClassVar = (*Options.parameters, *_PROCESS)
    optParameters: ClassVar = [
        [parameter.name, parameter.short, parameter.default, parameter.help]
        for parameter in _PROCESS
    ]

    def postOptions(self) -> None:
        """
        Check the options.

        :raise StartupError: one is invalid.
        """
        super().postOptions()
        self.workers: int = self.parsed["workers"]
        self.identity = identityFromText(self["uid"], self["gid"])

    def run(self) -> int:
        """Serve until stopped; returns the exit status."""
        resetSignals()
        ignoreRotation()
        reactor: Any = installReactor(self["reactor"])  # Any: it has many interfaces
        # A supervisor keeps its user, so it can read the keys again that its workers may not.
        readsKeys = self.identity.gid is not None and self.settings.usesTLS
        isSupervised = self.workers > 1 or readsKeys
        startLog(self["log-format"], isSupervised)
        if self["workers"] == "auto":
            _log.info(
                "--workers auto is {number}: {reason}", number=self.workers, reason=processorLimit()
            )
        if not isSupervised:
            service = EchoprotoService(reactor, self.settings, identity=self.identity)
            return runForeground(reactor, service)
        from echoproto.server.workers.supervisor import Supervisor

        settings = replace(self.settings, processes=self.workers)
        supervisor = Supervisor(reactor, settings, self.workers, self._workerConfig)
        return runForeground(reactor, supervisor)

    def _workerConfig(self, settings: Settings) -> WorkerConfig:
        from echoproto.server.workers.worker import WorkerConfig

        return WorkerConfig(settings, self["reactor"], self["log-format"], self.identity)


class ServeCommand(click.Command):
    """Passes its words on to :class:`ServeOptions`, the only parser of server options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See ``click.Command``."""
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: click.Context) -> int:
        """See ``click.Command``."""
        options: Any = ServeOptions()  # Any: of twisted.usage
        try:
            options.parseOptions(ctx.args)
        except UsageError as error:
            raise click.UsageError(str(error), ctx) from error
        status: int = options.run()
        return status

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """See ``click.Command``."""
        from click.shell_completion import CompletionItem

        options: Any = ServeOptions()  # Any: of twisted.usage
        names = sorted({f"--{name.rstrip('=')}" for name in options.longOpt})
        return [
            CompletionItem(name, help=options.docs.get(name[2:]))
            for name in names
            if name.startswith(incomplete)
        ]


serveCommand = ServeCommand("serve")
