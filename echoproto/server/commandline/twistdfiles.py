"""Files and folders of ``twistd`` itself, without which it fails with a traceback."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from echoproto.errors import StartupError

_log = Logger()

_REMEDIES = {
    "pidfile": "use another one, or none: --pidfile=",
    "logfile": "use another one by --logfile, or standard output: -n",
    "profile": "use another one",
}

#: The kinds of files that twistd can open.
_USABLE = {
    "pidfile": (stat.S_IFREG,),
    "logfile": (stat.S_IFREG, stat.S_IFCHR),
    "profile": (stat.S_IFREG,),
}

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}

#: The largest number that a process may have, on any system.
_MAX_PID = 2**31 - 1


def checkTwistdFiles(options: Mapping[str, Any]) -> None:
    """
    Check that the files of ``twistd`` can be written, and that its folders exist.

    :param options: those of ``twistd`` itself.
    :raise StartupError: one of them cannot be used.
    """
    if options.get("chroot"):
        # Its other paths cannot be checked from here.
        _checkRoot(options["chroot"])
        return
    folder = options.get("rundir", ".")
    if not os.path.isdir(folder):
        raise StartupError(f"twistd: the rundir {folder!r} is not a folder; create it")
    log = options.get("logfile") or ("-" if options.get("nodaemon") else "twistd.log")
    for option, name in (("pidfile", options.get("pidfile")), ("logfile", log)):
        if name and name != "-":
            # In the current folder, because twistd enters the rundir later.
            _checkFile(option, os.path.abspath(name))
    if options.get("profile"):
        # It is written at the end.
        _checkFile("profile", os.path.join(folder, options["profile"]))


def _checkFile(option: str, path: str) -> None:
    fault = None
    # Of a link that leads nowhere, twistd makes the file to which it leads.
    file = os.path.realpath(path)
    if not os.path.exists(file):
        if not os.access(os.path.dirname(file), os.W_OK):
            fault = "cannot be written"
    elif (kind := stat.S_IFMT(os.stat(file).st_mode)) not in _USABLE[option]:
        fault = f"is {_KINDS.get(kind, 'no file')}"
    elif not os.access(file, os.R_OK | os.W_OK):
        fault = "cannot be read and written"
    if fault is not None:
        raise StartupError(f"twistd: the {option} {path!r} {fault}; {_REMEDIES[option]}")


def _checkRoot(root: str) -> None:
    for needed in (os.devnull, *(os.path.dirname(path) for path in (os.__file__, __file__))):
        if not os.path.exists(root + needed):
            raise StartupError(
                f"twistd: --chroot {root!r} has no {needed!r}; it must have Python and its "
                "packages at their paths, because some are imported later"
            )


def removeStalePIDFile(path: str | None) -> None:
    """
    Remove the pidfile of a server that was killed. ``twistd`` would take two kinds for that of a
    running server: one that names this process, which has not written it yet, as in every start of
    a container; and one of a process whose parent has not read its status (wait(2)).

    :raise StartupError: it cannot be removed, or has no number of a process.
    """
    if not path:
        return
    try:
        number = int(Path(path).read_text())
    except OSError:
        return
    except ValueError:
        number = 0
    if not 0 < number <= _MAX_PID:
        raise StartupError(
            f"twistd: the pidfile {path!r} has no number of a process; remove it, or "
            f"{_REMEDIES['pidfile']}"
        )
    if number != os.getpid() and not _hasEnded(number):
        return
    try:
        os.remove(path)
    except OSError as error:
        raise StartupError(
            f"twistd: the pidfile {path!r}, which a killed server left, cannot be removed: "
            f"{error.strerror}; {_REMEDIES['pidfile']}"
        ) from error
    _log.warn("removed the pidfile {path!r}, which a killed server left", path=path)


def _hasEnded(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # Its state is the first field after its name, which may have any characters; see proc(5).
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return False
