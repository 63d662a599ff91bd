"""
Runs one service in the foreground, from its start to its exit status.

``twistd`` does much the same, but ends by the signal that stopped it, which a supervisor takes for
a crash.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogBeginner, textFileLogObserver

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


def runForeground(reactor: Any, service: Any, handleSignals: bool = True) -> int:
    """
    Start ``service``, run ``reactor`` until it is stopped by SIGTERM or SIGINT, stop the service.

    :param handleSignals: whether the reactor handles these signals; else something else must stop
        it.
    :return: the exit status: the service's ``exitStatus``, or 0.
    :raise StartupError: the service cannot start.
    """
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run(installSignalHandlers=handleSignals)
    return getattr(service, "exitStatus", 0)
