"""
How listeners are opened on this machine, and what is said when one cannot be.

Called by :mod:`echoproto.server.listening` through :class:`Platform`, which its tests replace.
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

_log = Logger()

#: What opening a listener may raise; the last four come of odd values in a description.
LISTEN_ERRORS = (CannotListenError, OSError, OverflowError, ValueError, TypeError, LookupError)

_REMEDIES = {
    EACCES: "ports under 1024 need root: start as root and give twistd --uid",
    EADDRINUSE: "stop what listens there, or choose another place",
    EADDRNOTAVAIL: "this machine has no such address",
}


def openStream(
    reactor: Any, listener: Listener, factory: Factory, streams: StreamReactor | None = None
) -> IListeningPort:
    """
    Listen with ``factory`` where ``listener`` says; raises what Twisted's endpoint fails with.

    :param streams: what listens on TCP; one for each call where none is given.
    """
    if listener.passed is not None:
        return adoptStream(reactor, listener.passed, factory)
    results: list[Any] = []
    endpoint = serverFromString(streams or StreamReactor(reactor), listener.description)
    endpoint.listen(factory).addBoth(results.append)
    # Every endpoint that twistd can describe listens at once.
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return cast(IListeningPort, result)


def openDatagrams(
    reactor: Any, listener: Listener, protocol: DatagramServerProtocol
) -> IListeningPort:
    """Listen with ``protocol`` where ``listener`` says; raises ``CannotListenError``."""
    if listener.passed is not None:
        return adoptDatagrams(reactor, listener.passed, protocol)
    port, interface = parseDatagrams(listener.description)
    return listenDatagrams(reactor, port, protocol, interface)


def errnoOf(error: Exception) -> int:
    """The number of the OSError that ``error`` is or has; 0 where there is none."""
    return getattr(getattr(error, "socketError", error), "errno", None) or 0


def explainListenError(listener: Listener, error: Exception) -> str:
    """One line: which listener, what went wrong, what to do."""
    cause = getattr(error, "socketError", error)
    reason = getattr(cause, "strerror", None) or str(cause)
    remedy = _REMEDIES.get(errnoOf(error))
    return f"{listener.service} cannot listen on {listener.where}: {reason}" + (
        f"; {remedy}" if remedy else ""
    )


def reportStartupError(message: str) -> None:
    """
    Say it once, where the operator looks: on the standard error that the process began with; for a
    daemon, which has none, in the log.
    """
    error = sys.__stderr__
    if error is None or os.fstat(error.fileno()).st_rdev == os.stat(os.devnull).st_rdev:
        _log.critical("{reason}", reason=message)
    else:
        print(message, file=error, flush=True)


def onSignal(reactor: Any, number: int, act: Callable[[], object]) -> Callable[[], object]:
    """
    From now on call ``act`` in the reactor's turn when the process gets the signal.

    :return: makes the signal do again what it did before.
    """
    before = signal.signal(number, lambda *_: reactor.callFromThread(act))
    return lambda: signal.signal(number, before)


@dataclass(frozen=True)
class Platform:
    """How the service reaches the machine it runs on; replaced in tests."""

    openStream: Callable[[Any, Listener, Factory], IListeningPort] = openStream
    openDatagrams: Callable[[Any, Listener, DatagramServerProtocol], IListeningPort] = openDatagrams
    hasIPv6: Callable[[], bool] = hasIPv6
    pickPort: Callable[[Sequence[str]], int] = pickPort
    reportStartupError: Callable[[str], None] = reportStartupError
    descriptorLimit: Callable[[], int] = descriptorLimit
    onSignal: Callable[[Any, int, Callable[[], object]], Callable[[], object]] = onSignal
