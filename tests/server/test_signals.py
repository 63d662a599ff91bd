from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.signals import (
    ROTATION_SIGNALS,
    STOP_SIGNALS,
    ignoreRotation,
    onSignal,
    postponeStop,
    resetSignals,
)


class StartingReactor:
    """A reactor that has not been started."""

    def __init__(self) -> None:
        self.triggers: dict[str, Callable[[], None]] = {}
        self.whenRunning: list[tuple[object, ...]] = []
        self.fromThread: list[object] = []

    def addSystemEventTrigger(
        self, phase: str, event: str, call: Callable[..., None], *arguments: object
    ) -> None:
        assert event == "startup"
        self.triggers[phase] = partial(call, *arguments)

    def callWhenRunning(self, *call: object) -> None:
        self.whenRunning.append(call)

    def callFromThread(self, call: object) -> None:
        self.fromThread.append(call)


class SignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (
            *(signal.SIGHUP, signal.SIGCHLD, signal.SIGQUIT),
            *ROTATION_SIGNALS,
            *STOP_SIGNALS,
        ):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.addCleanup(
            signal.pthread_sigmask, signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, ())
        )

    def test_reset(self) -> None:
        """Signals that the parent process blocked or ignored arrive again; SIGHUP waits."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        resetSignals()
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)
        self.assertEqual(signal.getsignal(signal.SIGQUIT), signal.SIG_DFL)
        self.assertEqual(signal.pthread_sigmask(signal.SIG_BLOCK, ()), set())
        self.assertEqual(signal.getsignal(signal.SIGCHLD), signal.SIG_DFL)
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

    def test_resetKeepsHandler(self) -> None:
        """A handler of SIGCHLD, such as the reactor's, stays."""
        handler = mock.Mock()
        signal.signal(signal.SIGCHLD, handler)
        resetSignals()
        self.assertIs(signal.getsignal(signal.SIGCHLD), handler)

    def test_rotation(self) -> None:
        """SIGUSR1 and SIGUSR2 are ignored unless they have a handler."""
        rotate = mock.Mock()
        signal.signal(signal.SIGUSR1, rotate)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        ignoreRotation()
        self.assertIs(signal.getsignal(signal.SIGUSR1), rotate)
        self.assertEqual(signal.getsignal(signal.SIGUSR2), signal.SIG_IGN)

    def test_stopWhileStarting(self) -> None:
        """A stop during the start is delivered again when the reactor runs."""
        reactor = StartingReactor()
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        postponeStop(reactor, self.fail)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(
            reactor.whenRunning,
            [(os.kill, os.getpid(), signal.SIGTERM), (os.kill, os.getpid(), signal.SIGINT)],
        )
        reactor.triggers["before"]()
        after = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        self.assertEqual(after, before)

    def test_furtherStops(self) -> None:
        """The reactor handles only the first stop."""
        reactor = StartingReactor()
        handled: list[tuple[int, object]] = []
        postponeStop(reactor, self.fail)
        reactor.triggers["before"]()
        for number in STOP_SIGNALS:
            signal.signal(number, lambda number, frame: handled.append((number, frame)))
        reactor.triggers["after"]()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        self.assertEqual([number for number, _ in handled], [signal.SIGINT])
        self.assertEqual(reactor.fromThread, [self.fail, self.fail])

    def test_otherStops(self) -> None:
        """A signal that the reactor does not handle is left alone."""
        reactor = StartingReactor()
        postponeStop(reactor, self.fail)
        reactor.triggers["before"]()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        reactor.triggers["after"]()
        for number in STOP_SIGNALS:
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)

    def test_inTheReactorsTurn(self) -> None:
        """A signal calls the action in a turn of the reactor, until it is restored."""
        reactor: Any = StartingReactor()
        number = signal.SIGUSR2
        before = signal.getsignal(number)
        undo = onSignal(reactor, number, self.fail)
        self.assertEqual(reactor.fromThread, [])
        signal.raise_signal(number)
        self.assertEqual(reactor.fromThread, [self.fail])
        undo()
        self.assertEqual(signal.getsignal(number), before)
