"""
Notifications to systemd (sd_notify(3)), and its watchdog (sd_watchdog_enabled(3)).

Environment, process id and clock are passed in.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from echoproto.errors import StartupError
from echoproto.server.periodic import PeriodicService
from echoproto.server.systemd import environmentNumber

#: Seconds that one notification may take: if systemd hangs, clients must not wait for it.
NOTIFY_TIMEOUT = 0.1


class Notifier:
    """
    Sends notifications to systemd; does nothing if systemd did not ask for them.

    :param environ: the environment made by systemd.
    :param pid: of this process; the watchdog may be meant for another.
    :raise StartupError: the environment is malformed; one line.

    A systemd that cannot be notified is logged once, and must not affect clients.

    :ivar watchdogInterval: seconds between two keep-alive messages, half of systemd's limit, as
        sd_watchdog_enabled(3) recommends; ``None`` without a watchdog for this process.
    """

    _log = Logger()

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        try:
            self.watchdogInterval = _watchdogInterval(environ, pid)
        except ValueError as error:
            raise StartupError(f"{error}; only systemd should set it: unset it") from error
        self._name = place = environ.get("NOTIFY_SOCKET", "")
        # An abstract name, which systemd writes with "@", begins with a NUL for the kernel.
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        self._socket: socket.socket | None = None
        self._hasFailed = False
        if place:
            self._open()

    def _open(self) -> None:
        try:
            # Kept open: the watchdog must not lack a descriptor when clients hold them all.
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(NOTIFY_TIMEOUT)
        except OSError as error:
            self._failed(error)

    def notify(self, *assignments: str) -> None:
        """
        Send a notification.

        :param assignments: ``NAME=value`` lines of sd_notify(3).
        """
        if self._socket is not None:
            message = "\n".join(assignments).encode("utf-8", "backslashreplace")
            try:
                self._socket.sendto(message, self._place)
            except OSError as error:
                self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._hasFailed:
            self._hasFailed = True
            self._log.warn(
                "systemd cannot be notified: NOTIFY_SOCKET {name!r}: {reason}; without systemd, "
                "unset it",
                name=self._name,
                reason=error.strerror or error,
            )

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


def makeWatchdog(clock: IReactorTime, notifier: Notifier) -> Service:
    """
    A service that sends keep-alive messages to systemd, if it expects any, as long as the reactor
    runs.

    :param clock: the reactor, or a ``Clock`` in tests.
    :param notifier: knows the interval, and sends them.
    """
    if notifier.watchdogInterval is None:
        return Service()
    return PeriodicService(clock, notifier.watchdogInterval, lambda: notifier.notify("WATCHDOG=1"))
