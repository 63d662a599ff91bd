"""
Sockets passed by systemd (sd_listen_fds(3)). Environment and process id are passed in.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat

#: The first passed descriptor, by sd_listen_fds(3).
SD_LISTEN_FDS_START = 3

#: The name of a socket that was passed without a name, by sd_listen_fds_with_names(3).
UNNAMED = "unknown"

_INTERNET = (socket.AF_INET, socket.AF_INET6)

_SERVED = {
    *((family, socket.SOCK_STREAM) for family in (*_INTERNET, socket.AF_UNIX)),
    *((family, socket.SOCK_DGRAM) for family in _INTERNET),
}


@dataclass(frozen=True)
class PassedSocket:
    """
    A bound socket passed by systemd; a stream listens already.

    :ivar descriptor: stays open, so that the socket can be adopted again after a stop.
    :ivar name: ``FileDescriptorName=`` of the socket unit, which several sockets may share.
    :ivar kind: ``SOCK_STREAM`` or ``SOCK_DGRAM``.
    :ivar family: ``AF_INET``, ``AF_INET6``, or for streams ``AF_UNIX``.
    """

    descriptor: int
    name: str
    kind: socket.SocketKind
    family: socket.AddressFamily


def initialEnvironment(path: str = "/proc/self/environ") -> dict[str, str]:
    """
    The environment that this process was started with: :mod:`twisted.internet.endpoints` removes
    the variables about sockets from ``os.environ`` when it is imported. ``os.environ`` if the
    kernel keeps no copy.

    :param path: the copy, proc_pid_environ(5).
    """
    try:
        with open(path, "rb") as copy:
            assignments = os.fsdecode(copy.read()).split("\0")
    except OSError:
        return dict(os.environ)
    return dict(assignment.split("=", 1) for assignment in assignments if "=" in assignment)


def passedSockets(
    environ: Mapping[str, str], pid: int, start: int = SD_LISTEN_FDS_START
) -> list[PassedSocket]:
    """
    The sockets passed to this process. Processes that it starts do not inherit them from now on.

    :param environ: the environment made by systemd, see :func:`initialEnvironment`.
    :param pid: of this process; sockets for another one are ignored.
    :param start: the first descriptor.
    :raise ValueError: the environment is malformed, or a descriptor cannot be served; one line.
    """
    if environmentNumber(environ, "LISTEN_PID") != pid:
        return []
    count = environmentNumber(environ, "LISTEN_FDS") or 0
    listed = environ.get("LISTEN_FDNAMES")
    names = listed.split(":") if listed else repeat(UNNAMED, count)
    if listed and listed.count(":") + 1 != count:
        raise ValueError(
            f"LISTEN_FDS is {count}, but LISTEN_FDNAMES has {listed.count(':') + 1} names"
        )
    return [_passedSocket(descriptor, name) for descriptor, name in enumerate(names, start)]


def explainNoSockets(environ: Mapping[str, str], pid: int) -> str:
    """
    Why no sockets were passed to this process, in one line.

    :param environ: the environment made by systemd, see :func:`initialEnvironment`.
    :param pid: of this process.
    """
    receiver = environ.get("LISTEN_PID")
    if receiver is None:
        return "LISTEN_PID is not set: start this program by a socket unit"
    if receiver != str(pid):
        return (
            f"LISTEN_PID is {receiver}, but this is process {pid}: a wrapper, such as a shell "
            "script, must start this program by exec"
        )
    return "LISTEN_FDS is 0: the socket unit has no sockets"


def environmentNumber(environ: Mapping[str, str], name: str) -> int | None:
    """
    The value of a variable set by systemd; ``None`` if it is not set.

    :raise ValueError: it is not a number; one line.
    """
    text = environ.get(name)
    if text is not None and not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(f"invalid {name} {text!r} (a number)")
    return None if text is None else int(text)


def _passedSocket(descriptor: int, name: str) -> PassedSocket:
    which = f"descriptor {descriptor}, passed by systemd as {name!r},"
    try:
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"{which} is not a socket: {error.strerror}") from error
    listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    isBound = passed.family not in _INTERNET or passed.getsockname()[1] != 0
    # Only inspected: the descriptor must stay open.
    passed.detach()
    family, kind = socket.AddressFamily(passed.family), socket.SocketKind(passed.type)
    if (family, kind) not in _SERVED:
        raise ValueError(
            f"{which} is {family.name} {kind.name}: only streams and UDP can be served"
        )
    if kind == socket.SOCK_STREAM and not listening:
        raise ValueError(f"{which} does not listen: the socket unit must not have Accept=yes")
    if kind == socket.SOCK_DGRAM and not isBound:
        raise ValueError(f"{which} is not bound to a port")
    return PassedSocket(descriptor, name, kind, family)
