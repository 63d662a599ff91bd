"""
Ends a read of TLS that does not end.

OpenSSL reads on while it receives records without data, such as changes of keys (RFC 8446 section
4.6.3), and Python cannot tell it to stop: a peer that sends them as fast as they are handled would
hold the reactor for ever. So a thread watches the reads of the reactor.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Protocol

from echoproto.reactors.substitute import putSubstitute, takeSubstitute

#: Seconds after which a read is ended, at the earliest; at the latest after twice as long.
LONGEST_READ = 0.2


class DescriptorOwner(Protocol):
    """A socket whose reads are watched."""

    def fileno(self) -> int:
        """Its descriptor."""


class ReadWatch:
    """
    Watches the reads of one thread, one at a time.

    A read that takes too long is ended: its descriptor refers to another socket, whose input has
    ended, until :meth:`end` puts its own back.

    :param wait: waits that many seconds, in the thread of the watch; true to end the thread.
    """

    def __init__(self, wait: Callable[[float], bool] | None = None) -> None:
        self._wait = Event().wait if wait is None else wait
        self._thread: Thread | None = None
        # The read in progress, and its number; the number at the last check.
        self._current: DescriptorOwner | None = None
        self._number = self._checked = 0
        # Set before the check looks at the read, and read after the read has ended: so the end of a
        # read either prevents an interruption, or waits for it.
        self._isInterrupting = False
        self._lock = Lock()
        self._original: int | None = None

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="TLS read watch", daemon=True)
            self._thread.start()

    def begin(self, owner: DescriptorOwner) -> None:
        """A read begins."""
        self._number += 1
        self._current = owner

    def end(self) -> None:
        """
        The read has ended.

        :raise TimeoutError: it was ended because it took too long.
        """
        owner, self._current = self._current, None
        if self._isInterrupting:
            with self._lock:
                self._isInterrupting = False
                original, self._original = self._original, None
            if original is not None and owner is not None:
                takeSubstitute(owner.fileno(), original)
                raise TimeoutError("the peer sends records without data")

    def check(self) -> None:
        """End the read in progress if it was in progress at the last check, too."""
        number, isOld = self._number, self._number == self._checked
        self._checked = number
        if not isOld or self._current is None:
            return
        with self._lock:
            self._isInterrupting = True
            owner = self._current
            if owner is not None and self._number == number and self._original is None:
                self._original = _endInput(owner.fileno())

    def _run(self) -> None:
        while not self._wait(LONGEST_READ):
            self.check()


def _endInput(descriptor: int) -> int | None:
    """
    Make ``descriptor`` refer to a socket whose input has ended, so that a read returns.

    :return: another descriptor of its own socket; ``None`` if none is free.
    """
    try:
        substitute, other = socket.socketpair()
    except OSError:
        return None
    other.close()
    with substitute:
        try:
            return putSubstitute(descriptor, substitute)
        except OSError:
            return None
