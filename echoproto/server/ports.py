"""
Opening listeners on this machine, and explaining why one cannot be opened.

Used by :mod:`echoproto.server.listening` through :class:`Platform`, which its tests replace.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from typing import Any, cast

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.protocols.datagram import DatagramServerProtocol
from echoproto.server.config.listeners import Listener, parseDatagrams
from echoproto.server.sockets import StreamReactor, descriptorLimit, hasIPv6, pickPort
from echoproto.server.systemd import adoptDatagrams, adoptStream
from echoproto.transports.udp import listenDatagrams
from echoproto.transports.unix import prepareUNIXPort

_log = Logger()

#: Errors of opening a listener; the last four are raised for odd values in a description.
LISTEN_ERRORS = (CannotListenError, OSError, OverflowError, ValueError, TypeError, LookupError)

_REMEDIES = {
    EACCES: "ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE",
    EADDRINUSE: "stop the program that listens there, or use another address",
    EADDRNOTAVAIL: "this machine does not have that address",
}


def openStream(
    reactor: Any, listener: Listener, factory: Factory, streams: StreamReactor | None = None
) -> IListeningPort:
    """
    Listen with ``factory``; raises the error of Twisted's endpoint.

    :param streams: opens TCP sockets; by default one for each call.
    """
    port = _openStream(reactor, listener, factory, streams or StreamReactor(reactor))
    prepareUNIXPort(port)
    return port


def _openStream(
    reactor: Any, listener: Listener, factory: Factory, streams: StreamReactor
) -> IListeningPort:
    if listener.passed is not None:
        return adoptStream(reactor, listener.passed, factory)
    results: list[Any] = []
    endpoint = serverFromString(streams, listener.description)
    endpoint.listen(factory).addBoth(results.append)
    # Every endpoint that twistd can describe listens at once.
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return cast(IListeningPort, result)


def openDatagrams(
    reactor: Any, listener: Listener, protocol: DatagramServerProtocol
) -> IListeningPort:
    """Listen with ``protocol``; raises ``CannotListenError``."""
    if listener.passed is not None:
        return adoptDatagrams(reactor, listener.passed, protocol)
    port, interface = parseDatagrams(listener.description)
    return listenDatagrams(reactor, port, protocol, interface)


def errnoOf(error: Exception) -> int:
    """The number of the OSError that ``error`` is or contains; 0 without one."""
    return getattr(getattr(error, "socketError", error), "errno", None) or 0


def explainListenError(listener: Listener, error: Exception) -> str:
    """One line: the listener, the cause, the remedy."""
    cause = getattr(error, "socketError", error)
    reason = getattr(cause, "strerror", None) or str(cause)
    remedy = _REMEDIES.get(errnoOf(error))
    return f"{listener.service} cannot listen on {listener.displayName}: {reason}" + (
        f"; {remedy}" if remedy else ""
    )


def reportStartupError(message: str) -> None:
    """
    Report a line once, where the operator sees it: on the standard error of the start, or, for a
    daemon, which has none, in the log.
    """
    error = sys.__stderr__
    if error is None or os.fstat(error.fileno()).st_rdev == os.stat(os.devnull).st_rdev:
        _log.critical("{reason}", reason=message)
    else:
        print(message, file=error, flush=True)


def onSignal(reactor: Any, number: int, act: Callable[[], object]) -> Callable[[], object]:
    """
    Call ``act`` in a turn of the reactor when the process receives the signal.

    :return: restores the former action of the signal.
    """
    before = signal.signal(number, lambda *_: reactor.callFromThread(act))
    return lambda: signal.signal(number, before)


@dataclass(frozen=True)
class Platform:
    """How the service reaches the machine; replaced in tests."""

    openStream: Callable[[Any, Listener, Factory], IListeningPort] = openStream
    openDatagrams: Callable[[Any, Listener, DatagramServerProtocol], IListeningPort] = openDatagrams
    hasIPv6: Callable[[], bool] = hasIPv6
    pickPort: Callable[[Sequence[str]], int] = pickPort
    reportStartupError: Callable[[str], None] = reportStartupError
    descriptorLimit: Callable[[], int] = descriptorLimit
    onSignal: Callable[[Any, int, Callable[[], object]], Callable[[], object]] = onSignal
