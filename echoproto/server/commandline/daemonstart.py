"""
The start of ``twistd`` as a daemon: why it failed, for the operator.

A daemon has no standard error. ``twistd`` passes on the error of its start, but cuts it after 100
bytes, where the remedy would begin.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from echoproto.errors import StartupError

#: Stands for the line in the message of ``twistd``.
_ELSEWHERE = "the reason is in the line above, and in the log"


def reportToTerminal(service: Any, reactor: Any, error: int = 2) -> None:
    """
    Make a service report why it cannot start in one whole line on the standard error of this
    process, which is about to become a daemon.

    :param service: an ``IService``.
    :param reactor: runs it; when it runs, nothing more is reported.
    :param error: the descriptor of the standard error; if it is closed, nothing is reported.
    """
    with suppress(OSError):
        kept = os.dup(error)
        # The method of the instance is replaced, because twistd decides when it becomes a daemon.
        service.privilegedStartService = _reporting(service.privilegedStartService, kept)
        # Otherwise a caller that reads to the end, such as ssh, would wait for the daemon.
        reactor.callWhenRunning(os.close, kept)


def _reporting(start: Callable[[], None], descriptor: int) -> Callable[[], None]:
    def startAndReport() -> None:
        try:
            start()
        except StartupError as error:
            with suppress(OSError):
                os.write(descriptor, f"{error}\n".encode(errors="backslashreplace"))
            short = StartupError(_ELSEWHERE)
            short.code = error.code
            raise short from error

    return startAndReport
