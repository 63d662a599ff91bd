"""
Listening ports whose accept(2) fails for a while: the table of open files is full (ENFILE, EMFILE),
memory is short (ENOMEM, ENOBUFS), or the kernel passes on an error of the network (EPROTO).

Twisted's ports, on every reactor, then try again at once and log each failure: thousands of lines a
second, and a processor kept busy. Here the port pauses (:mod:`echoproto.transports.readpause`), and
the waiting connections stay in the listen backlog; one line is logged per interval.

Twisted's ports also accept more in every turn while clients wait, up to the whole listen backlog:
then a flood of short connections delays all others. Here a turn accepts a bounded number.
"""

from __future__ import annotations

from errno import EAGAIN
from os import strerror
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from echoproto.server.monitoring.log import REPORT_INTERVAL
from echoproto.transports.readpause import FIRST_PAUSE, ReadPause

#: Connections of one port that are accepted in one turn of the reactor. A status listener answers
#: one whose request has arrived in the next turn, when at most as many more were accepted, so that
#: they cannot replace it before (:data:`echoproto.status.state.MAXIMUM_CONNECTIONS`).
ACCEPTS_PER_TURN = 32


class GuardedSocket:
    """
    Stands for the socket of a listening stream port of Twisted: it is that socket, except that a
    failed accept pauses the port.

    :param clock: measures the pauses; the reactor, or a ``Clock`` in tests.
    :param name: the listener, for the log.
    """

    _log = Logger()

    def __init__(self, port: Any, clock: IReactorTime, name: str) -> None:
        self._socket = port.socket
        self._clock = clock
        self._name = name
        self._pause = ReadPause(port, clock)
        self._failures = 0
        self._loggedAt: float | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def accept(self) -> Any:
        """
        See :meth:`socket.socket.accept`.

        :raise BlockingIOError: there is no connection, or it cannot be accepted now.
        """
        try:
            accepted = self._socket.accept()
        except BlockingIOError:
            raise
        except OSError as error:
            self._failed(error)
            raise BlockingIOError(EAGAIN, strerror(EAGAIN)) from error
        self._pause.seconds = FIRST_PAUSE
        return accepted

    def close(self) -> None:
        """See :meth:`socket.socket.close`; nothing is left scheduled."""
        self._pause.cancel()
        self._socket.close()

    def _failed(self, error: OSError) -> None:
        self._failures += 1
        now = self._clock.seconds()
        if self._loggedAt is None or now - self._loggedAt >= REPORT_INTERVAL:
            self._log.error(
                "{listener} cannot accept connections and tries again: {reason}; "
                "failures since the last such line: {failures}",
                listener=self._name,
                reason=error.strerror,
                failures=self._failures,
            )
            self._failures, self._loggedAt = 0, now
        self._pause.begin()


def guardAccepting(port: Any, clock: IReactorTime, name: str) -> None:
    """
    Make a port pause when it cannot accept (:class:`GuardedSocket`), and accept at most
    :data:`ACCEPTS_PER_TURN` connections in one turn.

    :param port: a listening stream port of Twisted; one without a socket of its own is left alone.
    :param clock: measures the pauses.
    :param name: the listener, for the log.
    """
    if hasattr(port, "socket"):
        port.socket = GuardedSocket(port, clock, name)
        accept = port.doRead

        def doRead() -> None:
            port.numberAccepts = min(port.numberAccepts, ACCEPTS_PER_TURN)
            accept()

        # Of the instance, because every reactor has its own class of port.
        port.doRead = doRead
