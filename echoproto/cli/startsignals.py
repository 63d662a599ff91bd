"""
Signals while a command of the client starts, and once it has ended.

A ``KeyboardInterrupt`` may arise anywhere in an import, and modules in C lose it or make another
error of it. Where Python can only report it, as in the callback of a weak reference, the process
ends; so does it at a second signal.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

#: Subcommands that have figures to show.
_MEASUREMENTS = ("ping", "load", "verify", "conformance", "greet", "monitor")

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def endInterrupted(command: str) -> NoReturn:
    """
    End the process, because the command was interrupted while it started.

    At once: a module in C whose import was interrupted may crash when Python ends.

    :param command: the subcommand.
    """
    _ignoreAll()
    os.write(2, b"echoproto: interrupted\n")
    # 130 is exitcodes.INTERRUPTED, which would have to be imported; a monitor was stopped.
    os._exit(0 if command == "monitor" else 130)


def _ignoreAll() -> None:
    """The command has ended: signals do not change the exit status while Python itself ends."""
    for number in (*_END_SIGNALS, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def startSignals(command: str) -> Iterator[None]:
    """
    Handle signals until the command handles them itself: SIGTERM and SIGHUP interrupt it as Ctrl-C
    does, and SIGQUIT shows that there are no figures yet. They are ignored once it has ended.

    SIGHUP and SIGINT stay ignored if the caller ignores them, as nohup(1) and a shell do. A monitor
    ignores SIGHUP, as it will read its file anyway.

    :param command: the subcommand.
    :raise KeyboardInterrupt: it was interrupted.
    """
    isInterrupted = False

    def endNow(number: int, frame: FrameType | None) -> NoReturn:
        endInterrupted(command)

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal isInterrupted
        isInterrupted = True
        for other in _END_SIGNALS:
            if signal.getsignal(other) is interrupt:
                signal.signal(other, endNow)
        raise KeyboardInterrupt

    def unraisable(found: UnraisableHookArgs) -> None:
        if issubclass(found.exc_type, KeyboardInterrupt):
            endInterrupted(command)
        else:
            report(found)

    report = sys.unraisablehook
    sys.unraisablehook = unraisable
    _handleAll(command, interrupt)
    try:
        yield
    except Exception:
        if isInterrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        _ignoreAll()
        sys.unraisablehook = report


def _handleAll(command: str, interrupt: Callable[[int, FrameType | None], NoReturn]) -> None:
    signal.signal(signal.SIGTERM, interrupt)
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
    if command == "monitor":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if command in _MEASUREMENTS:
        signal.signal(signal.SIGQUIT, _showNothing)


def _showNothing(number: int, frame: FrameType | None) -> None:
    os.write(2, b"echoproto: nothing was measured yet\n")
