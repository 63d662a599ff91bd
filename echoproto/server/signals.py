"""
Signals from the start of the process to its end.

A signal may arrive at any moment, and whoever starts the server may have blocked or ignored
signals, which exec(2) passes on. ``docs/operation.md`` has the table of all signals and phases.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads

#: Signals on which other programs reopen their logs or replace themselves.
ROTATION_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)

#: Signals that stop the server.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

#: Signals that a parent may have ignored, with the actions that they have otherwise. A shell
#: ignores the first two for a command in the background. Twisted replaces Python's own action for
#: SIGINT.
_IGNORED_BY_PARENTS: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGCHLD: signal.SIG_DFL,
}


def resetSignals() -> None:
    """
    Undo what the parent process did to signals that the server needs: unblock all, and stop to
    ignore some, among them that of the end of child processes. SIGHUP is ignored from here until
    the certificates, which are about to be read, can be read again.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number, action in _IGNORED_BY_PARENTS.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, action)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def ignoreRotation() -> None:
    """
    Ignore :data:`ROTATION_SIGNALS`, which would end the process, unless they have a handler:
    ``twistd`` rotates a log file on SIGUSR1.
    """
    for number in ROTATION_SIGNALS:
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.SIG_IGN)


def postponeStop(reactor: Any, onFurther: Callable[[], object]) -> None:
    """
    From now until ``reactor`` runs, postpone :data:`STOP_SIGNALS`, so that a stop during the start
    ends in order and leaves no file behind.

    From then on the first signal stops the reactor. It would fail at a further one, which may come
    before it begins the stop.

    :param onFurther: called in a turn of the reactor for each further one.
    """

    def postpone(number: int, frame: object) -> None:
        reactor.callWhenRunning(os.kill, os.getpid(), number)

    before = {number: signal.signal(number, postpone) for number in STOP_SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # Before the reactor installs its handlers: it keeps a handler of SIGINT that it finds.
    reactor.addSystemEventTrigger("before", "startup", restore)
    reactor.addSystemEventTrigger("after", "startup", _stopOnce, reactor, onFurther)


def _stopOnce(reactor: IReactorFromThreads, onFurther: Callable[[], object]) -> None:
    hasStopped = False

    def stop(
        handler: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None
    ) -> None:
        nonlocal hasStopped
        if hasStopped:
            reactor.callFromThread(onFurther)
        else:
            hasStopped = True
            handler(number, frame)

    for number in STOP_SIGNALS:
        # Without a handler of the reactor, something else stops it.
        if callable(handler := signal.getsignal(number)):
            signal.signal(number, partial(stop, handler))


def onSignal(
    reactor: IReactorFromThreads, number: int, act: Callable[[], object]
) -> Callable[[], object]:
    """
    Call ``act`` in a turn of the reactor when the process receives the signal.

    :return: restores the former action of the signal.
    """
    before = signal.signal(number, lambda *_: reactor.callFromThread(act))
    return lambda: signal.signal(number, before)
