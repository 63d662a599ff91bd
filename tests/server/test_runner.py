from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.errors import StartupError
from echoproto.server import runner as foreground
from echoproto.server.runner import ForegroundRunner, startLog


class Served:
    """A service and a reactor that record their calls."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("exit"):
            raise AttributeError(name)

        def note(*arguments: object) -> None:
            self.done.append(name)

        return note


class RunTests(SynchronousTestCase):
    def test_run(self) -> None:
        """The service is started, run until the reactor stops, and stopped before shutdown."""
        served = Served()
        self.assertEqual(ForegroundRunner().run(served, served), 0)
        self.assertEqual(
            served.done, ["privilegedStartService", "startService", "addSystemEventTrigger", "run"]
        )

    def test_exitStatus(self) -> None:
        """A service may have an exit status of its own."""
        service = mock.Mock(exitStatus=3)
        self.assertEqual(ForegroundRunner().run(mock.Mock(), service), 3)


class PrivilegesTests(SynchronousTestCase):
    def shed(self, *identity: int | None) -> list[Any]:
        """The system calls of a process of root."""
        with (
            mock.patch.object(os, "setgid") as setgid,
            mock.patch.object(foreground, "switchUID") as switch,
            mock.patch.object(os, "geteuid", return_value=0),
        ):
            ForegroundRunner(*identity).dropPrivileges()
        return [*setgid.call_args_list, *switch.call_args_list]

    def test_nobodyElse(self) -> None:
        """Without a user and a group nothing changes."""
        self.assertEqual(self.shed(None, None), [])

    def test_user(self) -> None:
        """A user implies the user's own group, which is changed first."""
        self.assertEqual(self.shed(0, None), [mock.call(0)])
        self.assertEqual(self.shed(12345, 7), [mock.call(7), mock.call(12345, 7)])

    def test_group(self) -> None:
        """A group may be changed alone."""
        self.assertEqual(self.shed(None, 7), [mock.call(7)])

    def test_mayNot(self) -> None:
        """A missing permission is reported in one line."""
        refused = mock.patch.object(os, "setgid", side_effect=PermissionError(1, "no"))
        with refused, self.assertRaisesRegex(StartupError, "start as root"):
            ForegroundRunner(None, 7).dropPrivileges()


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

    def test_begin(self) -> None:
        """The log begins once, and does not redirect standard output."""
        for form in ("text", "json"):
            with mock.patch.object(foreground, "globalLogBeginner") as beginner:
                startLog(form)
            ([observer],) = beginner.beginLoggingTo.call_args[0]
            self.assertEqual(beginner.beginLoggingTo.call_args[1], {"redirectStandardIO": False})
            self.assertTrue(callable(observer))
