"""The file of a UNIX socket: at the end only the server's own is removed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()


def _pathAttribute(port: object) -> str:
    """The attribute with the path of a port; Twisted before 26 has it in ``port``."""
    return "_bindPath" if hasattr(port, "_bindPath") else "port"


def ownsFile(port: object) -> bool:
    """Whether a UNIX port of Twisted removes a file at the end: its name is not abstract."""
    name: bytes = getattr(port, _pathAttribute(port))
    return name[:1] != b"\0"


def removeOnlyOwnFile(port: Any) -> None:
    """
    Make a listening port leave alone a file that has replaced that of its socket, and close
    although a file cannot be removed. Twisted's removes any file; if it cannot, it fails before it
    removes its lock and closes its socket.

    :param port: a listening ``twisted.internet.unix.Port`` whose socket has a file.
    """
    attribute = _pathAttribute(port)
    path: bytes = getattr(port, attribute)
    own = os.lstat(path)
    connectionLost = port.connectionLost

    def isOwn() -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(own, os.lstat(path))
        return False

    def forgetFile() -> None:
        # A port with an abstract name removes no file.
        setattr(port, attribute, b"\0")
        port._logConnectionLostMsg = lambda: None

    def lost(reason: Failure) -> None:
        if not isOwn():
            _log.warn(
                "{path} was removed or replaced while the server listened; clients could not "
                "connect by that name",
                path=os.fsdecode(path),
            )
            forgetFile()
        try:
            connectionLost(reason)
        except (OSError, ValueError) as error:
            # ValueError: the lock has been replaced by that of another process.
            _warnOfFiles(path, error)
            forgetFile()
            port.lockFile = None
            connectionLost(reason)

    # Of the instance, because every reactor has its own class of port.
    port.connectionLost = lost


def _warnOfFiles(path: bytes, error: Exception) -> None:
    left = [os.fsdecode(file) for file in (path, path + b".lock") if os.path.lexists(file)]
    if left:
        _log.warn(
            "{files} could not be removed: {reason}; the next start removes what its user may",
            files=" and ".join(left),
            reason=getattr(error, "strerror", None) or str(error),
        )
