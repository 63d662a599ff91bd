"""Files and folders of ``twistd`` itself, without which it fails with a traceback."""

from __future__ import annotations

import os
import stat
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
    Check that the pidfile and the log of ``twistd`` can be written, and that its folders exist.

    :param options: those of ``twistd`` itself.
    :raise StartupError: one of them cannot be used.
    """
    if options.get("chroot"):
        # Its other paths cannot be checked from here.
        _checkRoot(options["chroot"])
        return
    folder = options.get("rundir") or "."
    if not os.path.isdir(folder):
        raise StartupError(f"twistd: the rundir {folder!r} is not a folder; create it")
    log = options.get("logfile") or ("-" if options.get("nodaemon") else "twistd.log")
    for option, name in (("pidfile", options.get("pidfile")), ("logfile", log)):
        if not name or name == "-":
            continue
        path = os.path.join(folder, name)
        written = path if os.path.exists(path) else os.path.dirname(path)
        if not os.access(written, os.W_OK):
            raise StartupError(
                f"twistd: the {option} {os.path.abspath(path)!r} cannot be written; "
                f"{_REMEDIES[option]}"
            )
        if option == "logfile" and os.path.exists(path) and stat.S_ISFIFO(os.stat(path).st_mode):
            raise StartupError(f"twistd: the logfile {path!r} is a pipe; {_REMEDIES[option]}")


def _checkRoot(root: str) -> None:
    for needed in (os.devnull, *(os.path.dirname(path) for path in (os.__file__, __file__))):
        if not os.path.exists(root + needed):
            raise StartupError(
                f"twistd: --chroot {root!r} has no {needed!r}; it must have Python and its "
                "packages at their paths, because some are imported later"
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
