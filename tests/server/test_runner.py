from __future__ import annotations

import io
import subprocess
import sys
from typing import Any
from unittest import mock

from twisted.logger import Logger, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from echoproto.server import runner as foreground
from echoproto.server.runner import runForeground, startLog


class Served:
    """A service and a reactor that record their calls."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("exit"):
            raise AttributeError(name)

        def note(*arguments: object, **options: object) -> None:
            self.done.append(name)

        return note


class RunTests(SynchronousTestCase):
    def test_run(self) -> None:
        """The service is started, run until the reactor stops, and stopped before shutdown."""
        served: Any = Served()
        self.assertEqual(runForeground(served, served), 0)
        self.assertEqual(
            served.done, ["privilegedStartService", "startService", "addSystemEventTrigger", "run"]
        )

    def test_exitStatus(self) -> None:
        """A service may have an exit status of its own."""
        service = mock.Mock(exitStatus=3)
        self.assertEqual(runForeground(mock.Mock(), service), 3)


class LogTests(SynchronousTestCase):
    def test_formats(self) -> None:
        """The log goes to standard output as text or as JSON."""
        for form, expected in (("text", " [-] hello"), ("json", '"text": "hello"')):
            program = (
                "from echoproto.server.runner import startLog\n"
                "from twisted.python import log\n"
                f"startLog({form!r}); log.msg('hello')\n"
            )
            made = subprocess.run(
                [sys.executable, "-c", program], capture_output=True, text=True, check=True
            )
            self.assertIn(expected, made.stdout)

    def test_brief(self) -> None:
        """A brief log has the lines of this package, and of Twisted only warnings."""
        output = io.StringIO()
        self.patch(foreground, "logStream", lambda isShared: output)
        self.patch(sys, "unraisablehook", None)
        with mock.patch.object(foreground, "globalLogBeginner") as beginner:
            startLog("text", isBrief=True)
        [[observer]], _ = beginner.beginLoggingTo.call_args
        for namespace, level in (("twisted", "info"), ("twisted", "warn"), ("echoproto", "info")):
            log = Logger(f"{namespace}.x", observer=observer)
            log.emit(LogLevel.levelWithName(level), f"{namespace}, {level}")
        lines = output.getvalue().splitlines()
        words = [" ".join(line.split()[-2:]) for line in lines]
        self.assertEqual(words, ["twisted, warn", "echoproto, info"])

    def test_unraisable(self) -> None:
        """What Python cannot raise, such as a finalizer's exception, is logged in one line."""
        program = (
            "from echoproto.server.runner import startLog\n"
            "class Failing:\n"
            "    def __del__(self): b'\\xff'.decode('ascii')\n"
            "startLog('text'); Failing()\n"
        )
        made = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        self.assertEqual(len(made.stdout.splitlines()), 1)
        self.assertIn("an error was ignored: UnicodeDecodeError: 'ascii' codec", made.stdout)
        self.assertEqual(made.stderr, "")
        with capturedLogs() as events:
            foreground.logUnraisable(mock.Mock(exc_type=ValueError, exc_value=ValueError("bad")))
        self.assertEqual(formatEvent(events[0]), "an error was ignored: ValueError: bad")

    def test_begin(self) -> None:
        """The log begins once, and does not redirect standard output."""
        for form in ("text", "json"):
            with (
                mock.patch.object(foreground, "globalLogBeginner") as beginner,
                mock.patch.object(sys, "unraisablehook"),
            ):
                startLog(form)
            ([observer],) = beginner.beginLoggingTo.call_args[0]
            self.assertEqual(beginner.beginLoggingTo.call_args[1], {"redirectStandardIO": False})
            self.assertTrue(callable(observer))
