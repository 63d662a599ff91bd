"""
What systemd hands to a service and what it is told back: sockets that are open already
(sd_listen_fds(3)), and how the service is doing (sd_notify(3), sd_watchdog_enabled(3)).

Called by the running server and by what opens its listeners. Environment, process id and clock
are passed in. Knows nothing of what is served.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet import unix
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from echoproto.addresses import MAX_IPV6_DATAGRAM
from echoproto.transports.pktinfo import enablePacketInfo
from echoproto.transports.udp import DatagramPort

#: The first descriptor that is passed, by sd_listen_fds(3).
SD_LISTEN_FDS_START = 3

#: What sd_listen_fds_with_names(3) calls a socket that was passed without a name.
UNNAMED = "unknown"

#: Seconds that one notification may take: should systemd hang, clients must not wait for it.
NOTIFY_TIMEOUT = 0.1

_SERVED = {
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_INET6, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
}


@dataclass(frozen=True)
class PassedSocket:
    """
    A bound socket that systemd has passed; a stream listens already.

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
    The environment that this process was started with, as :mod:`twisted.internet.endpoints` takes
    what systemd said of sockets out of ``os.environ`` when it is imported; ``os.environ`` where the
    kernel keeps no copy.

    :param path: of that copy, proc_pid_environ(5).
    """
    try:
        with open(path, "rb") as copy:
            assignments = os.fsdecode(copy.read()).split("\0")
    except OSError:
        return dict(os.environ)
    return dict(each.split("=", 1) for each in assignments if "=" in each)


def passedSockets(
    environ: Mapping[str, str], pid: int, start: int = SD_LISTEN_FDS_START
) -> list[PassedSocket]:
    """
    The sockets that were passed to this process; from now on none that it starts inherits them.

    :param environ: the environment that systemd made, see :func:`initialEnvironment`.
    :param pid: of this process; what was meant for another is not touched.
    :param start: the first descriptor.
    :raise ValueError: the environment is malformed, or a descriptor is nothing that we serve; one line.
    """
    if _number(environ, "LISTEN_PID") != pid:
        return []
    count = _number(environ, "LISTEN_FDS") or 0
    given = environ.get("LISTEN_FDNAMES")
    names = given.split(":") if given else [UNNAMED] * count
    if len(names) != count:
        raise ValueError(f"LISTEN_FDS is {count}, but LISTEN_FDNAMES has {len(names)} names")
    return [_passedSocket(descriptor, name) for descriptor, name in enumerate(names, start)]


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if text is not None and not text.isdecimal():
        raise ValueError(f"{name} is {text!r}, which is no number")
    return None if text is None else int(text)


def _passedSocket(descriptor: int, name: str) -> PassedSocket:
    which = f"descriptor {descriptor}, passed by systemd as {name!r},"
    try:
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ValueError(f"{which} is no socket: {error.strerror}") from error
    listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    # Only looked at: the descriptor must stay open.
    passed.detach()
    family, kind = socket.AddressFamily(passed.family), socket.SocketKind(passed.type)
    if (family, kind) not in _SERVED:
        raise ValueError(f"{which} is {family.name} {kind.name}: only streams and UDP are served")
    if kind == socket.SOCK_STREAM and not listening:
        raise ValueError(f"{which} does not listen: the socket unit must not say Accept=yes")
    return PassedSocket(descriptor, name, kind, family)


class _PassedUNIXPort(unix.Port):
    """
    A UNIX port whose socket and file are systemd's. The stock one opens the file to everybody (and
    fails, as the file is not ours), and at its end removes it and shuts the socket down for systemd too.
    """

    _shouldShutdown = False

    def __init__(self, fileName: str | bytes, factory: IProtocolFactory, reactor: Any) -> None:
        # Under an abstract name it keeps off the file. It listens once more: what backlog the unit
        # said cannot be asked.
        name = b"\0" + os.fsencode(fileName)
        unix.Port.__init__(self, name, factory, socket.SOMAXCONN, reactor=reactor)

    def _logConnectionLostMsg(self) -> None:
        """Nothing, as the NUL would end the line in the journal."""


def adoptStream(reactor: Any, passed: PassedSocket, factory: IProtocolFactory) -> IListeningPort:
    """
    Accept with ``factory`` what connects to ``passed``; closing the port leaves the socket to systemd.

    :param reactor: an ``IReactorSocket``.
    """
    # systemd passes sockets that block, and the reactor would hang in accept(2).
    os.set_blocking(passed.descriptor, False)
    if passed.family != socket.AF_UNIX:
        tcpPort: IListeningPort = reactor.adoptStreamPort(passed.descriptor, passed.family, factory)
        return tcpPort
    unixPort = cast(Any, _PassedUNIXPort)._fromListeningDescriptor(
        reactor, passed.descriptor, factory
    )
    unixPort.startListening()
    return cast(IListeningPort, unixPort)


def adoptDatagrams(
    reactor: Any, passed: PassedSocket, protocol: DatagramProtocol
) -> IListeningPort:
    """
    Answer with ``protocol`` the datagrams that come to ``passed``, from the address that they were sent to;
    closing the port leaves the socket to systemd.

    :param reactor: any that has file descriptors.
    """
    os.set_blocking(passed.descriptor, False)
    with socket.socket(fileno=os.dup(passed.descriptor)) as duplicate:
        enablePacketInfo(duplicate)
    port = cast(Any, DatagramPort)._fromListeningDescriptor(
        reactor, passed.descriptor, passed.family, protocol, MAX_IPV6_DATAGRAM
    )
    port.startListening()
    return cast(IListeningPort, port)


class Notifier:
    """
    Tells systemd how the service is doing; silent where nobody asked to be told.

    :param environ: the environment that systemd made.
    :param pid: of this process; the watchdog may be meant for another.
    :raise ValueError: the environment is malformed; one line.
    :ivar watchdogInterval: seconds between two signs of life, half of what systemd waits for one, as
        sd_watchdog_enabled(3) recommends; ``None`` where it waits for none of ours.
    """

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self.watchdogInterval = _watchdogInterval(environ, pid)
        place = environ.get("NOTIFY_SOCKET", "")
        # An abstract name, which systemd writes with "@", begins with a NUL for the kernel.
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        self._socket: socket.socket | None = None
        if place:
            # Kept open: the sign of life must not want for a descriptor when clients hold them all.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(NOTIFY_TIMEOUT)

    def notify(self, *assignments: str) -> None:
        """
        Send one message.

        :param assignments: each ``NAME=value`` on one line, of those in sd_notify(3).
        """
        if self._socket is not None:
            message = "\n".join(assignments).encode("utf-8", "backslashreplace")
            # systemd that is gone or busy is no reason to serve clients worse.
            with suppress(OSError):
                self._socket.sendto(message, self._place)

    def ready(self, status: str) -> None:
        """The service is up, or has read its configuration again; ``status`` is a line for people."""
        self.notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The service reads its configuration again; :meth:`ready` follows."""
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self.notify("STOPPING=1")

    def close(self) -> None:
        """Tell nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdogInterval(environ: Mapping[str, str], pid: int) -> float | None:
    microseconds = _number(environ, "WATCHDOG_USEC")
    if microseconds == 0:
        raise ValueError("WATCHDOG_USEC is 0, which nobody can keep")
    if microseconds is None or _number(environ, "WATCHDOG_PID") not in (None, pid):
        return None
    return microseconds / 2 / 1_000_000


class Watchdog:
    """
    Gives systemd a sign of life as often as it wants one, as long as the reactor runs.

    :param clock: the reactor, or a ``Clock`` in tests.
    :param notifier: knows how often, and sends it.
    """

    def __init__(self, clock: IReactorTime, notifier: Notifier) -> None:
        self._interval = notifier.watchdogInterval
        self._loop = LoopingCall(notifier.notify, "WATCHDOG=1")
        self._loop.clock = clock

    def start(self) -> None:
        """Give the first sign now; none where none is wanted."""
        if self._interval is not None and not self._loop.running:
            self._loop.start(self._interval)

    def stop(self) -> None:
        """Give none any more; nothing is left scheduled."""
        if self._loop.running:
            self._loop.stop()
