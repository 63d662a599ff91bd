from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.logger._observer import OBSERVER_DISABLED
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from echoproto.cli.sessions import monitor as module
from echoproto.cli.sessions.monitor import MonitorProgram
from echoproto.errors import StartupError
from echoproto.monitor.monitor import Monitor
from echoproto.monitor.web import monitorSite
from echoproto.processes.resources import Limit
from echoproto.server.config.status import statusListener
from echoproto.server.monitoring.logerrors import LogErrors
from echoproto.server.notifier import Notifier
from echoproto.status.state import IState
from tests.cli.commandcase import CommandTestCase
from tests.monitor.test_settings import settingsOf
from tests.server.fakemachine import FakeMachine, failed

TARGETS = '[[target]]\nurl = "udp://127.0.0.1:7"\ninterval = "100ms"'


class RecordingNotifier(Notifier):
    """Records the notifications to systemd."""

    def __init__(self) -> None:
        super().__init__({}, 1)
        self.sent: list[str] = []

    def notify(self, *assignments: str) -> None:
        self.sent.append(assignments[0].partition("=")[0])


class MonitorSessionTests(CommandTestCase):
    command = "monitor"

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_text(TARGETS)

    def test_check(self) -> None:
        """A valid file is described; of an invalid one the fault is reported."""
        ended = self.ended("--check", str(self.path))
        self.assertEqual(
            (ended.status, ended.output), (0, f"{self.path}: 1 target, 10 probes per second\n")
        )
        self.path.write_text("x = 1")
        ended = self.ended("--check", str(self.path))
        self.assertEqual((ended.status, ended.output), (2, ""))
        self.assertIn(f"echoproto monitor: {self.path}: unknown key 'x'", ended.errors)

    def test_run(self) -> None:
        """The targets of the file are probed until a stop; the log is brief."""
        ran: list[Any] = []

        def runForeground(reactor: object, program: object) -> int:
            ran.append(program)
            return 0

        self.patch(module, "resetSignals", lambda: ran.append("signals"))
        self.patch(module, "raiseDescriptorLimit", lambda: ran.append("descriptors"))
        self.patch(module, "startLog", lambda form, isBrief: ran.append((form, isBrief)))
        self.patch(module, "runForeground", runForeground)
        self.assertEqual(self.ended("--log-format", "json", str(self.path)).status, 0)
        self.assertEqual(ran[:3], ["signals", "descriptors", ("json", True)])
        self.assertIsInstance(ran[3], MonitorProgram)

    def test_pages(self) -> None:
        """The live page and the page that probes any server exist on request."""
        self.patch(module, "raiseDescriptorLimit", lambda: None)
        self.patch(module, "startLog", lambda form, isBrief: None)
        found: list[Any] = []
        self.patch(module, "monitorSite", lambda _, monitor, *chosen: ("site", *chosen))
        self.patch(module, "MonitorProgram", lambda *arguments: found.append(arguments[3]))
        self.patch(module, "runForeground", lambda reactor, program: 0)
        self.assertEqual(self.ended("--web", "--probe", str(self.path)).status, 0)
        self.assertEqual(found, [("site", True, True)])

    def test_descriptors(self) -> None:
        """With too few descriptors it does not start, which is one line."""
        self.patch(module, "resetSignals", lambda: None)
        self.patch(module, "raiseDescriptorLimit", lambda: None)
        self.patch(module, "descriptorLimit", lambda: Limit(8, "RLIMIT_NOFILE"))
        ended = self.ended(str(self.path))
        self.assertEqual((ended.status, ended.output), (2, ""))
        self.assertRegex(ended.errors, r"^echoproto monitor: 8 file descriptors are too few, .*\n$")

    def test_proxy(self) -> None:
        """The status listener reads no PROXY header."""
        ended = self.ended("--status", "tcp:9110:proxy=any", str(self.path))
        self.assertEqual(ended.status, 2)
        self.assertIn("--status: proxy= is for servers", ended.errors)


class MonitorProgramTests(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.fake = FakeMachine()
        self.notifier = RecordingNotifier()
        self.monitor = Monitor(self.reactor, lambda: [settingsOf()], [settingsOf()])
        self.program = MonitorProgram(
            self.reactor,
            self.monitor,
            statusListener("9110"),
            monitorSite(self.reactor, self.monitor, web=False, probe=False),
            self.fake.machine(),
            self.notifier,
        )

    def test_life(self) -> None:
        """It opens its listener, probes, reloads on SIGHUP, and stops; systemd is notified."""
        verifyObject(IState, self.monitor)
        self.program.privilegedStartService()
        with capturedLogs() as logged:
            self.program.startService()
            for call, arguments, named in self.reactor.whenRunningHooks:
                call(*arguments, **named)
            self.fake.signals[signal.SIGHUP]()
            self.fake.signals[signal.SIGQUIT]()
        lines = [formatEvent(event) for event in logged]
        self.assertIn("probing 1 target, 1 probe per second", lines)
        self.assertIn("targets: 1; probes: 0; lost: 0; targets that do not answer: 0", lines)
        self.assertTrue(any(line.startswith("status is listening on tcp ") for line in lines))
        self.assertEqual(self.fake.calls, ["postponeStop", "ignoreRotation"])
        self.assertTrue(self.monitor.ready())
        self.successResultOf(self.program.stopService())
        [(port, _)] = self.fake.opened
        self.assertEqual((port.closed, self.monitor.ready()), ("stopped", False))
        self.assertEqual(self.notifier.sent, ["READY", "RELOADING", "READY", "STOPPING"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_logErrors(self) -> None:
        """Log lines that could not be written are reported at the latest when it stops."""
        self.program.privilegedStartService()
        self.program.startService()
        [errors] = [service for service in self.program.services if isinstance(service, LogErrors)]
        with capturedLogs() as logged:
            event = {"log_format": OBSERVER_DISABLED, "log_failure": Failure(OSError(28, "full"))}
            errors(event)
            self.successResultOf(self.program.stopService())
        lines = [formatEvent(event) for event in logged]
        self.assertIn(
            "the log could not be written (1 times), so lines may be missing: full", lines
        )

    def test_failedReload(self) -> None:
        """After a reload, systemd is notified that it is over, whatever its end."""
        self.program.privilegedStartService()
        self.program.startService()
        self.patch(self.monitor, "reload", lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, self.fake.signals[signal.SIGHUP])
        self.assertEqual(self.notifier.sent, ["RELOADING", "READY"])
        self.successResultOf(self.program.stopService())

    def test_notOpened(self) -> None:
        """A listener that cannot be opened is one line."""
        self.fake.failing["9110"] = failed(98)
        with self.assertRaisesRegex(StartupError, "^status cannot listen on .*9110.*; stop the "):
            self.program.privilegedStartService()

    def test_ownMachine(self) -> None:
        """By default it is on this machine, and notifies this process's systemd."""
        site = monitorSite(self.reactor, self.monitor, web=False, probe=False)
        program = MonitorProgram(self.reactor, self.monitor, statusListener("9110"), site)
        self.assertIsInstance(program._notifier, Notifier)
