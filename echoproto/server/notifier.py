"""
Notifications to systemd (sd_notify(3)), and its watchdog (sd_watchdog_enabled(3)).

Environment, process id and clock are passed in.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from echoproto.errors import StartupError
from echoproto.server.systemd import environmentNumber

#: Seconds that one notification may take: if systemd hangs, clients must not wait for it.
NOTIFY_TIMEOUT = 0.1


class Notifier:
    """
    Sends notifications to systemd; does nothing if systemd did not ask for them.

    :param environ: the environment made by systemd.
    :param pid: of this process; the watchdog may be meant for another.
    :raise StartupError: the environment is malformed; one line.
    :ivar watchdogInterval: seconds between two keep-alive messages, half of systemd's limit, as
        sd_watchdog_enabled(3) recommends; ``None`` without a watchdog for this process.
    """

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        try:
            self.watchdogInterval = _watchdogInterval(environ, pid)
        except ValueError as error:
            raise StartupError(f"{error}; only systemd should set it: unset it") from error
        place = environ.get("NOTIFY_SOCKET", "")
        # An abstract name, which systemd writes with "@", begins with a NUL for the kernel.
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        self._socket: socket.socket | None = None
        if place:
            # Kept open: the watchdog must not lack a descriptor when clients hold them all.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(NOTIFY_TIMEOUT)

    def notify(self, *assignments: str) -> None:
        """
        Send a notification.

        :param assignments: ``NAME=value`` lines of sd_notify(3).
        """
        if self._socket is not None:
            message = "\n".join(assignments).encode("utf-8", "backslashreplace")
            # A missing or busy systemd must not affect clients.
            with suppress(OSError):
                self._socket.sendto(message, self._place)

    def ready(self, status: str) -> None:
        """
        The service is ready, or has reloaded its configuration; ``status`` is a line for people.
        """
        self.notify("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The service reloads its configuration; :meth:`ready` follows."""
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service has begun to stop."""
        self.notify("STOPPING=1")

    def close(self) -> None:
        """Send nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdogInterval(environ: Mapping[str, str], pid: int) -> float | None:
    microseconds = environmentNumber(environ, "WATCHDOG_USEC")
    if microseconds == 0:
        raise ValueError("invalid WATCHDOG_USEC 0 (1 or more)")
    if microseconds is None or environmentNumber(environ, "WATCHDOG_PID") not in (None, pid):
        return None
    return microseconds / 2 / 1_000_000


class Watchdog:
    """
    Sends keep-alive messages to systemd as long as the reactor runs.

    :param clock: the reactor, or a ``Clock`` in tests.
    :param notifier: knows the interval, and sends them.
    """

    def __init__(self, clock: IReactorTime, notifier: Notifier) -> None:
        self._interval = notifier.watchdogInterval
        self._loop = LoopingCall(notifier.notify, "WATCHDOG=1")
        self._loop.clock = clock

    def start(self) -> None:
        """Send the first message now, if systemd expects any."""
        if self._interval is not None and not self._loop.running:
            self._loop.start(self._interval)

    def stop(self) -> None:
        """Send no more; nothing is left scheduled."""
        if self._loop.running:
            self._loop.stop()
