"""The files that ``twistd`` writes besides its services: it fails with a traceback if it cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from echoproto.errors import StartupError

_REMEDIES = {
    "pidfile": "use another one, or none: --pidfile=",
    "logfile": "use another one by --logfile, or standard output: -n",
}


def checkTwistdFiles(options: Mapping[str, Any]) -> None:
    """
    Check that the pidfile and the log of ``twistd`` can be written.

    :param options: those of ``twistd`` itself.
    :raise StartupError: one of them cannot be written.
    """
    # A path in another root cannot be checked from here.
    if options.get("chroot"):
        return
    log = options.get("logfile") or ("-" if options.get("nodaemon") else "twistd.log")
    for option, name in (("pidfile", options.get("pidfile")), ("logfile", log)):
        if not name or name == "-":
            continue
        path = os.path.join(options.get("rundir") or ".", name)
        written = path if os.path.exists(path) else os.path.dirname(path)
        if not os.access(written, os.W_OK):
            raise StartupError(
                f"twistd: the {option} {os.path.abspath(path)!r} cannot be written; "
                f"{_REMEDIES[option]}"
            )


def removeOwnPIDFile(path: str | None) -> None:
    """
    Remove a pidfile that names this process, which has not written one yet: it is a killed server's
    that had the same number, as in every start of a container. ``twistd`` would take it for a
    running server.
    """
    with suppress(OSError, ValueError):
        if path and int(Path(path).read_text()) == os.getpid():
            os.remove(path)
