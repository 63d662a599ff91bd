from __future__ import annotations

import os
import socket
from errno import EAFNOSUPPORT
from select import select
from typing import Any
from unittest import mock

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server.notifier import Notifier, makeWatchdog
from tests.server.test_systemd import PID, SOON, boundSocket, temporaryFolder


class NotifierTests(SynchronousTestCase):
    def listening(self, place: str) -> socket.socket:
        """The socket of systemd."""
        made = boundSocket(self, socket.AF_UNIX, socket.SOCK_DGRAM, place)
        made.settimeout(SOON)
        return made

    def notifying(self, **environ: str) -> Notifier:
        notifier = Notifier(environ, PID)
        self.addCleanup(notifier.close)
        return notifier

    def test_messages(self) -> None:
        """Each step of a service is one message."""
        place = str(temporaryFolder(self) / "notify")
        systemd = self.listening(place)
        notifier = self.notifying(NOTIFY_SOCKET=place)
        notifier.ready("3 listeners \udcff")
        self.assertEqual(systemd.recv(1000), b"READY=1\nSTATUS=3 listeners \\udcff")
        notifier.reloading()
        first, _, second = systemd.recv(1000).partition(b"\nMONOTONIC_USEC=")
        self.assertEqual((first, second.isdigit()), (b"RELOADING=1", True))
        notifier.stopping()
        self.assertEqual(systemd.recv(1000), b"STOPPING=1")

    def test_abstract(self) -> None:
        """The address may be an abstract name, which systemd writes with "@"."""
        name = "echoproto-test-" + os.urandom(8).hex()
        systemd = self.listening("\0" + name)
        self.notifying(NOTIFY_SOCKET="@" + name).notify("WATCHDOG=1", "STATUS=x")
        self.assertEqual(systemd.recv(1000), b"WATCHDOG=1\nSTATUS=x")

    def test_nobody(self) -> None:
        """Without systemd, or after the end, nothing is sent or raised."""
        place = str(temporaryFolder(self) / "notify")
        self.notifying().stopping()
        notifier = self.notifying(NOTIFY_SOCKET=place)
        notifier.stopping()
        systemd = self.listening(place)
        notifier.close()
        notifier.close()
        notifier.stopping()
        self.assertEqual(select([systemd], [], [], 0)[0], [])

    def test_unreachable(self) -> None:
        """A systemd that cannot be notified is one log line, with the reason and the remedy."""
        for place, reason in (
            (f"{temporaryFolder(self)}/none", "No such file or directory"),
            (f"/{'x' * 200}", "AF_UNIX path too long"),
        ):
            with capturedLogs() as lines:
                notifier = self.notifying(NOTIFY_SOCKET=place)
                notifier.ready("serving")
                notifier.stopping()
            [line] = map(formatEvent, lines)
            self.assertIn(f"NOTIFY_SOCKET {place!r}: {reason}; without systemd, unset it", line)

    def test_noSocket(self) -> None:
        """In a sandbox without UNIX sockets, too."""
        denied = OSError(EAFNOSUPPORT, "Address family not supported by protocol")
        with mock.patch.object(socket, "socket", side_effect=denied), capturedLogs() as lines:
            self.notifying(NOTIFY_SOCKET="/nowhere").ready("serving")
        self.assertIn("Address family not supported", formatEvent(*lines))

    def test_systemdHangs(self) -> None:
        """A systemd that does not read delays the service for a moment only."""
        place = str(temporaryFolder(self) / "notify")
        systemd = self.listening(place)
        notifier = self.notifying(NOTIFY_SOCKET=place)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with self.assertRaises(BlockingIOError):
                while True:
                    other.sendto(b"full", place)
        notifier.stopping()
        self.assertEqual(systemd.recv(1000), b"full")

    def test_watchdogInterval(self) -> None:
        """The interval is half of the watchdog's, if the watchdog is for this process."""
        for environ, expected in (
            ({}, None),
            ({"WATCHDOG_USEC": "30000000"}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 15.0),
            ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ):
            self.assertEqual(self.notifying(**environ).watchdogInterval, expected, environ)

    def test_malformed(self) -> None:
        """An invalid interval or process is reported in one line."""
        for environ, reason in (
            ({"WATCHDOG_USEC": "soon"}, "invalid WATCHDOG_USEC 'soon' (a number)"),
            ({"WATCHDOG_USEC": "0"}, "invalid WATCHDOG_USEC 0 (1 or more)"),
            (
                {"WATCHDOG_USEC": "1", "WATCHDOG_PID": ""},
                "invalid WATCHDOG_PID '' (a number)",
            ),
        ):
            with self.assertRaises(StartupError) as raised:
                Notifier(environ, PID)
            self.assertEqual(
                str(raised.exception), f"{reason}; only systemd should set it: unset it"
            )


class WatchdogTests(SynchronousTestCase):
    def setUp(self) -> None:
        place = str(temporaryFolder(self) / "notify")
        self.systemd = boundSocket(self, socket.AF_UNIX, socket.SOCK_DGRAM, place)
        self.environ = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "30000000"}
        self.clock = Clock()

    def watching(self) -> Any:
        notifier = Notifier(self.environ, PID)
        self.addCleanup(notifier.close)
        return makeWatchdog(self.clock, notifier)

    def signs(self) -> int:
        """The number of messages since the last call."""
        count = 0
        while select([self.systemd], [], [], 0)[0]:
            self.assertEqual(self.systemd.recv(100), b"WATCHDOG=1")
            count += 1
        return count

    def test_signs(self) -> None:
        """
        A message is sent at once and at each half interval, until the end; then none is scheduled.
        """
        watchdog = self.watching()
        watchdog.startService()
        self.assertEqual(self.signs(), 1)
        self.clock.pump([14.0, 1.0, 15.0])
        self.assertEqual(self.signs(), 2)
        watchdog.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notWanted(self) -> None:
        """Without a watchdog no message is sent."""
        del self.environ["WATCHDOG_USEC"]
        watchdog = self.watching()
        watchdog.startService()
        self.assertEqual((self.signs(), self.clock.getDelayedCalls()), (0, []))
        watchdog.stopService()
