"""
``echoproto serve``: the options of ``twistd echoproto`` and those that only a process of its own can have.

What runs is :class:`echoproto.server.application.EchoprotoService`, or with ``--workers`` a
:class:`echoproto.server.workers.supervisor.Supervisor`; how a process runs one, :mod:`echoproto.server.runner`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.python.util import gidFromString, uidFromString

from echoproto.cli.processes import parseWorkers
from echoproto.errors import StartupError
from echoproto.reactors.install import installReactor
from echoproto.server.application import EchoprotoService
from echoproto.server.config.settings import Settings
from echoproto.server.options import Options
from echoproto.server.runner import Foreground, startLog
from echoproto.server.workers.supervisor import Supervisor
from echoproto.server.workers.worker import WorkerConfig

_EXAMPLES = """
Examples:
  echoproto serve                               echo on port 12345
  echoproto serve --port 7 --uid nobody         a low port, and no root after that
  echoproto serve --port 12345 --workers auto   a process for each processor
  echoproto serve -p 7 -p tcp:8007:proxy=any --status 9100
The exit status is 0 after a clean drain.
"""


class ServeOptions(Options):
    """The command line of ``echoproto serve``."""

    synopsis = "[options]"
    examples = _EXAMPLES

    optParameters: ClassVar = [
        [
            "workers",
            "w",
            "1",
            "Processes that serve; auto for as many as processors. Limits are for each.",
        ],
        ["reactor", "r", None, "Twisted's reactor. [default: direct on Linux]"],
        ["uid", "u", None, "User to become once the listeners are open; name or number."],
        ["gid", "g", None, "Group to become. [default: the user's own]"],
        ["log-format", None, "text", "Of the log on standard output: text or json."],
    ]

    def postOptions(self) -> None:
        """
        Check what was given.

        :raise StartupError: something is wrong.
        """
        super().postOptions()
        self.workers = _workers(self["workers"])
        self.foreground = Foreground(*_identity(self["uid"], self["gid"]))
        if self["log-format"] not in ("text", "json"):
            raise StartupError(f"--log-format {self['log-format']!r}: text or json")

    def run(self) -> int:
        """Serve until stopped; returns the exit status."""
        reactor: Any = installReactor(self["reactor"])
        startLog(self["log-format"])
        if self.workers == 1:
            return self.foreground.run(reactor, EchoprotoService(reactor, self.settings))
        # The supervisor stays who it is, so that a worker that is started again can read the keys.
        supervisor = Supervisor(reactor, self.settings, self.workers, self._ordersFor)
        return Foreground().run(reactor, supervisor)

    def _ordersFor(self, settings: Settings) -> WorkerConfig:
        return WorkerConfig(settings, self["reactor"], self["log-format"], self.foreground)


def _workers(text: str) -> int:
    try:
        return parseWorkers(text)
    except ValueError as error:
        raise StartupError(f"--workers {error}") from None


def _identity(user: str | None, group: str | None) -> tuple[int | None, int | None]:
    """The numbers of both; the user's own group where none is given."""
    try:
        uid = None if user is None else uidFromString(user)
    except (KeyError, ValueError):
        raise StartupError(f"--uid {user!r}: there is no such user") from None
    try:
        gid = None if group is None else gidFromString(group)
    except (KeyError, ValueError):
        raise StartupError(f"--gid {group!r}: there is no such group") from None
    return uid, gid
