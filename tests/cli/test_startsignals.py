from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.startsignals import startSignals

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ProcessEnded(BaseException):
    """``os._exit`` was called."""


def endProcess(status: int) -> NoReturn:
    raise ProcessEnded(status)


class StartSignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (*END_SIGNALS, signal.SIGQUIT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.before: dict[int, signal.Handlers] = {}
        self.patch(os, "_exit", endProcess)

    def run_(self, command: str, act: Callable[[], object]) -> tuple[str, bytes]:
        """What ends a command that does this while it loads, and its errors."""
        for number in (*END_SIGNALS, signal.SIGQUIT):
            signal.signal(number, self.before.get(number, signal.SIG_DFL))
        ended = "goes on"
        with mock.patch.object(os, "write") as write:
            try:
                with startSignals(command):
                    act()
            except (ImportError, ValueError, KeyboardInterrupt, ProcessEnded) as error:
                ended = f"{type(error).__name__}{error.args}"
        for call in write.mock_calls:
            self.assertEqual(call.args[0], 2)
        return ended, b"".join(call.args[1] for call in write.mock_calls)

    def signalled(self, command: str, *numbers: int) -> tuple[str, bytes]:
        return self.run_(command, lambda: [*map(signal.raise_signal, numbers)])

    def test_interrupted(self) -> None:
        """While a command loads, Ctrl-C, SIGTERM and SIGHUP interrupt it."""
        for number in END_SIGNALS:
            for command in ("ping", "report"):
                self.assertEqual(self.signalled(command, number), ("KeyboardInterrupt()", b""))

    def test_again(self) -> None:
        """A second signal ends the process at once, with one line."""

        def interruptTwice() -> None:
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGTERM)

        for command, status in (("report", 130), ("monitor", 0)):
            ended = self.run_(command, interruptTwice)
            self.assertEqual(ended, (f"ProcessEnded({status},)", b"echoproto: interrupted\n"))

    def test_unraisable(self) -> None:
        """An interrupt that Python can only report, as that of a destructor, ends the process."""

        class Interrupted:
            def __del__(self) -> None:
                signal.raise_signal(signal.SIGINT)

        ends: list[int] = []
        self.patch(os, "_exit", ends.append)
        ended = self.run_("report", Interrupted)
        self.assertEqual((ended, ends), (("goes on", b"echoproto: interrupted\n"), [130]))

    def test_otherUnraisable(self) -> None:
        """Other errors that Python can only report are reported as before."""

        class Failing:
            def __del__(self) -> None:
                raise ValueError("failed")

        hook = mock.Mock()
        self.patch(sys, "unraisablehook", hook)
        self.assertEqual(self.run_("report", Failing), ("goes on", b""))
        hook.assert_called_once()
        self.assertEqual(sys.unraisablehook, hook)

    def test_changed(self) -> None:
        """An interrupt of which a module in C makes another error is an interrupt."""

        def importModule() -> None:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise ImportError("initialization failed") from None

        self.assertEqual(self.run_("report", importModule), ("KeyboardInterrupt()", b""))

    def test_error(self) -> None:
        """Another error remains what it is."""
        self.assertEqual(self.run_("report", lambda: int("x"))[0][:10], "ValueError")

    def test_figures(self) -> None:
        """While a measurement loads, SIGQUIT shows that there are no figures yet."""
        for command in ("ping", "load", "verify", "conformance", "greet", "monitor"):
            ended = self.signalled(command, signal.SIGQUIT)
            self.assertEqual(ended, ("goes on", b"echoproto: nothing was measured yet\n"))

    def test_ignored(self) -> None:
        """
        SIGHUP is ignored by a monitor that loads, and by a command that nohup has started; Ctrl-C
        is by a command in the background.
        """
        self.assertEqual(self.signalled("monitor", signal.SIGHUP), ("goes on", b""))
        self.before = {signal.SIGHUP: signal.SIG_IGN, signal.SIGINT: signal.SIG_IGN}
        for number in self.before:
            self.assertEqual(self.signalled("ping", number), ("goes on", b""))

    def test_ended(self) -> None:
        """Once a command has ended, signals are ignored."""
        with self.assertRaises(SystemExit), startSignals("ping"):
            raise SystemExit(0)
        for number in (*END_SIGNALS, signal.SIGQUIT):
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)
