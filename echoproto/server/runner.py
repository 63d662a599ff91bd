"""
Runs one service in the foreground, from its start to its exit status.

``twistd`` does much the same, but ends by the signal that stopped it, which a supervisor takes for
a crash.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.service import IService
from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from echoproto.server.monitoring.jsonlog import jsonLines
from echoproto.server.monitoring.logstream import logStream

_log = Logger()


def startLog(form: str, isShared: bool = False, isBrief: bool = False) -> None:
    """
    Log to standard output.

    :param form: ``text`` for people or ``json`` for programs.
    :param isShared: whether other processes write there too; see
        :mod:`echoproto.server.monitoring.logstream`.
    :param isBrief: whether to leave out Twisted's own lines, such as one for each port, but
        warnings.
    """
    stream: Any = logStream(isShared)
    observer = jsonLines(isShared) if form == "json" else textFileLogObserver(stream)
    if isBrief:
        levels = LogLevelFilterPredicate(LogLevel.warn)
        levels.setLogLevelForNamespace("echoproto", LogLevel.info)
        observer = FilteringLogObserver(observer, [levels])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    sys.unraisablehook = logUnraisable


def logUnraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """
    Log in one line an exception that Python cannot raise, for which it writes a traceback.

    :param unraisable: see ``sys.unraisablehook``.
    """
    _log.warn(
        "an error was ignored: {kind}: {error}",
        kind=unraisable.exc_type.__name__,
        error=unraisable.exc_value,
    )


def runForeground(reactor: Any, service: IService, handleSignals: bool = True) -> int:
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
