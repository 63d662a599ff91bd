"""
Runs one service in the foreground, from its start to its exit status.

``twistd`` does much the same, but ends by the signal that stopped it, which a supervisor takes for
a crash.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from typing import Any

from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.python.util import switchUID

from echoproto.errors import StartupError
from echoproto.server.monitoring.jsonlog import jsonLines
from echoproto.server.monitoring.logstream import logStream


def startLog(form: str, isShared: bool = False) -> None:
    """
    Log to standard output.

    :param form: ``text`` for people or ``json`` for programs.
    :param isShared: whether other processes write there too; see
        :mod:`echoproto.server.monitoring.logstream`.
    """
    stream: Any = logStream(isShared)
    observer = jsonLines(isShared) if form == "json" else textFileLogObserver(stream)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


@dataclass(frozen=True)
class ForegroundRunner:
    """
    How to run a service.

    :ivar uid: the user to become when the listeners are open; ``None`` to keep the current one.
    :ivar gid: the group; by default the user's own group.
    """

    uid: int | None = None
    gid: int | None = None

    def run(self, reactor: Any, service: Any) -> int:
        """
        Start ``service``, run ``reactor`` until it is stopped by SIGTERM or SIGINT, stop the
        service.

        :return: the exit status: the service's ``exitStatus``, or 0.
        :raise StartupError: the service cannot start.
        """
        service.privilegedStartService()
        self.dropPrivileges()
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
        reactor.run()
        return getattr(service, "exitStatus", 0)

    def dropPrivileges(self) -> None:
        """
        Change user and group.

        :raise StartupError: the process may not.
        """
        gid = self.gid
        if gid is None and self.uid is not None:
            gid = pwd.getpwuid(self.uid).pw_gid
        try:
            if gid is not None:
                os.setgid(gid)
            if self.uid is not None and self.uid != os.geteuid():
                switchUID(self.uid, gid)
        except OSError as error:
            raise StartupError(
                f"cannot become user {self.uid}, group {gid}: {error.strerror}; start as root"
            ) from error
