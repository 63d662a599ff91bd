"""
Opening listeners on this machine, and explaining why one cannot be opened.

Used by :mod:`.listenerservice` through :class:`Platform`, which its tests replace.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import (
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EAFNOSUPPORT,
    EINVAL,
    EMFILE,
    ENOENT,
    ENOPROTOOPT,
    ENOSYS,
    ENOTDIR,
    EPERM,
    EROFS,
)
from socket import gaierror
from typing import Any, cast

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.processes.resources import Limit, descriptorLimit, memoryLimit
from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.server.config.descriptions import parseDatagrams, parseStreams
from echoproto.server.config.listener import BACKLOG, Listener, addressText
from echoproto.server.listeners.sockets import StreamReactor, hasIPv6, pickPort
from echoproto.server.signals import ignoreRotation, onSignal, postponeStop
from echoproto.transports.unix import prepareUNIXPort

_log = Logger()

#: Errors of opening a listener; the last four are raised for odd values in a description.
LISTEN_ERRORS = (CannotListenError, OSError, OverflowError, ValueError, TypeError, LookupError)

#: The remedies of errors at an internet address, besides that of a missing permission.
_ADDRESS_REMEDIES = {
    EADDRINUSE: "stop the program that listens there, or use another address",
    EADDRNOTAVAIL: "this machine does not have that address, or not yet, as at boot: "
    "start after network-online.target",
    EAFNOSUPPORT: "this machine does not have that address family",
    ENOENT: "this root folder has no /dev/null",
    ENOPROTOOPT: "this kernel, or the sandbox of this process, lacks a socket option",
    ENOSYS: "this kernel, or the sandbox of this process, lacks a system call",
}

#: The remedies of errors at the path of a UNIX socket, and of those of Twisted and Python.
_PATH_REMEDIES: dict[int | str, str] = {
    EINVAL: "remove the file with this name and .lock, which is no lock",
    "Cannot acquire lock": "stop the program that listens there, or use another path",
    "AF_UNIX path too long": "use a path of at most 107 bytes",
    EACCES: "this user needs write permission in the folder of the socket",
    EADDRINUSE: "stop the program that listens there, remove the file if it is not running, or "
    "use another path",
    ENOENT: "create the folder of the socket",
    ENOTDIR: "a part of the path is not a folder; use another path",
    EPERM: "use a folder of another file system",
    EROFS: "use a folder that is not read-only",
}

#: The first port that every user may bind, unless the kernel has another setting.
_FIRST_UNPRIVILEGED_PORT = 1024


def openStream(
    reactor: object, listener: Listener, factory: Factory, streams: StreamReactor | None = None
) -> IListeningPort:
    """
    Listen with ``factory``; raises the error of Twisted's endpoint.

    :param streams: opens TCP sockets; by default one for each call.
    """
    port = _openStream(reactor, listener, factory, streams or StreamReactor(reactor))
    prepareUNIXPort(port)
    return port


def _openStream(
    reactor: object, listener: Listener, factory: Factory, streams: StreamReactor
) -> IListeningPort:
    # What only some listeners need is imported here: the others start sooner without it.
    if listener.passed is not None:
        from echoproto.server.listeners.adoption import adoptStream

        return adoptStream(reactor, listener.passed, factory)
    if listener.port is not None:
        return streams.listenTCP(listener.port, factory, BACKLOG, listener.interface)
    plain = parseStreams(listener.description)
    if plain is not None:
        return streams.listenTCP(plain[0], factory, BACKLOG, plain[1])
    from twisted.internet.endpoints import serverFromString

    results: list[Any] = []
    endpoint = serverFromString(streams, listener.description)
    endpoint.listen(factory).addBoth(results.append)
    # Every endpoint that twistd can describe listens at once.
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return cast(IListeningPort, result)


def openDatagrams(
    reactor: object, listener: Listener, protocol: DatagramServerProtocol
) -> IListeningPort:
    """Listen with ``protocol``; raises ``CannotListenError``."""
    if listener.passed is not None:
        from echoproto.server.listeners.adoption import adoptDatagrams

        return adoptDatagrams(reactor, listener.passed, protocol)
    from echoproto.transports.datagramreactor import listenDatagrams

    port, interface = parseDatagrams(listener.description)
    return listenDatagrams(reactor, port, protocol, interface)


def placeOf(listener: Listener, port: IListeningPort) -> str:
    """The place of an open listener: carrier and real address. Two texts may mean the same port."""
    return f"{listener.carrier} {addressText(port.getHost())}"


def errnoOf(error: Exception) -> int:
    """The number of the OSError that ``error`` is or contains; 0 without one."""
    return getattr(getattr(error, "socketError", error), "errno", None) or 0


def explainListenError(listener: Listener, error: Exception) -> str:
    """One line: the listener, the cause, the remedy."""
    cause = getattr(error, "socketError", error)
    reason = getattr(cause, "strerror", None) or str(cause)
    remedy = _remedy(listener, error)
    return f"{listener.service} cannot listen on {listener.displayName}: {reason}" + (
        f"; {remedy}" if remedy else ""
    )


def _remedy(listener: Listener, error: Exception) -> str | None:
    number = errnoOf(error)
    if number == EMFILE:
        return "raise the limit (ulimit -n, LimitNOFILE=), or use fewer workers"
    if listener.carrier == "unix":
        path = getattr(error, "port", None)
        if number == EADDRINUSE and isinstance(path, str | bytes):
            return _inUseRemedy(os.fsencode(path))
        return _PATH_REMEDIES.get(number or str(getattr(error, "socketError", error)))
    if isinstance(getattr(error, "socketError", error), gaierror):
        return "use a numeric address of this machine"
    if number == EINVAL and ":" in getattr(error, "interface", ""):
        return (
            "a link-local address needs its interface: fe80::1%eth0; of ::ffff:a.b.c.d use a.b.c.d"
        )
    if number not in (EACCES, EPERM):
        return _ADDRESS_REMEDIES.get(number)
    first = firstUnprivilegedPort()
    port = getattr(error, "port", listener.port)
    if isinstance(port, int) and port < first:
        return (
            f"ports below {first} need root, who may become another user by --uid, or the "
            "capability CAP_NET_BIND_SERVICE"
        )
    return "a security policy, such as that of SELinux or of a seccomp filter, forbids it"


def _inUseRemedy(path: bytes) -> str:
    if path.startswith(b"\0"):
        return "stop the program that listens there, or use another name"
    # A file that cannot be seen is most likely a socket.
    with suppress(OSError):
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return "the file exists and is no socket; use another path"
    return _PATH_REMEDIES[EADDRINUSE]


def firstUnprivilegedPort(path: str = "/proc/sys/net/ipv4/ip_unprivileged_port_start") -> int:
    """
    The first port that every user may bind.

    :param path: the kernel's setting, Linux's ip(7).
    """
    try:
        with open(path) as setting:
            return int(setting.read())
    except OSError:
        return _FIRST_UNPRIVILEGED_PORT


def reportStartupError(message: str) -> None:
    """
    Report a line once, where the operator sees it: on the standard error of the start, or, for a
    daemon, which has none, in the log.
    """
    error = sys.__stderr__
    if error is None or _isNullDevice(error.fileno()):
        _log.critical("{reason}", reason=message)
    else:
        # Its disk may be full. Data in the stream's own buffer would be an error again at the exit.
        with suppress(OSError):
            os.write(error.fileno(), f"{message}\n".encode(error.encoding, "backslashreplace"))


def _isNullDevice(descriptor: int) -> bool:
    # A root of its own may have no such device.
    with suppress(FileNotFoundError):
        return os.fstat(descriptor).st_rdev == os.stat(os.devnull).st_rdev
    return False


@dataclass(frozen=True)
class Platform:
    """How the service reaches the machine; replaced in tests."""

    openStream: Callable[[Any, Listener, Factory], IListeningPort] = openStream
    openDatagrams: Callable[[Any, Listener, DatagramServerProtocol], IListeningPort] = openDatagrams
    hasIPv6: Callable[[], bool] = hasIPv6
    pickPort: Callable[[Sequence[str]], int] = pickPort
    reportStartupError: Callable[[str], None] = reportStartupError
    descriptorLimit: Callable[[], Limit] = descriptorLimit
    memoryLimit: Callable[[], Limit] = memoryLimit
    onSignal: Callable[[Any, int, Callable[[], object]], Callable[[], object]] = onSignal
    postponeStop: Callable[[Any, Callable[[], object]], None] = postponeStop
    ignoreRotation: Callable[[], None] = ignoreRotation
    processID: Callable[[], int] = os.getpid
