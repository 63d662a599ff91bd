"""
The running server as a Twisted service: opens every listener or none, and drains them when stopped.

Made by :mod:`echoproto.server.options`; may as well be added to any ``MultiService``. Everything it opens with is
passed in, so that its tests need no socket.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.admission import DATAGRAM_RATE, DatagramAdmission
from echoproto.datagramport import listenDatagrams
from echoproto.datagrams import DatagramService
from echoproto.echo import EchoDatagrams, EchoFactory
from echoproto.errors import CannotStart
from echoproto.greeting import SERVER_GREETING, GreetingDatagrams, GreetingFactory
from echoproto.observer import IObserver
from echoproto.server.descriptions import Listener, parseDatagrams
from echoproto.server.log import LogObserver, addressText
from echoproto.server.sockets import StreamReactor, hasIPv6, pickPort
from echoproto.streams import StreamFactory

_log = Logger()

#: How often a port is picked for a bare 0: another program may take it before we have it on all carriers.
PICKS = 20

#: What opening a listener may raise; the last four come of odd values in a description.
LISTEN_ERRORS = (CannotListenError, OSError, OverflowError, ValueError, TypeError, LookupError)

_REMEDIES = {
    EACCES: "ports under 1024 need root: start as root and give twistd --uid",
    EADDRINUSE: "stop what listens there, or choose another place",
    EADDRNOTAVAIL: "this machine has no such address",
}


def openStream(reactor: Any, listener: Listener, factory: StreamFactory) -> IListeningPort:
    """Listen with ``factory`` where ``listener`` says; raises what Twisted's endpoint fails with."""
    results: list[Any] = []
    endpoint = serverFromString(StreamReactor(reactor), listener.description)
    endpoint.listen(factory).addBoth(results.append)
    # Every endpoint that twistd can describe listens at once.
    [result] = results
    if isinstance(result, Failure):
        result.raiseException()
    return cast(IListeningPort, result)


def openDatagrams(reactor: Any, listener: Listener, protocol: DatagramService) -> IListeningPort:
    """Listen with ``protocol`` where ``listener`` says; raises ``CannotListenError``."""
    port, interface = parseDatagrams(listener.description)
    return listenDatagrams(reactor, port, protocol, interface)


def complain(message: str) -> None:
    """
    Say it once, where the operator looks: on the standard error that the process began with; for a
    daemon, which has none, in the log.
    """
    error = sys.__stderr__
    if error is None or os.fstat(error.fileno()).st_rdev == os.stat(os.devnull).st_rdev:
        _log.critical("{reason}", reason=message)
    else:
        print(message, file=error, flush=True)


@dataclass(frozen=True)
class Machine:
    """How the service reaches the machine it runs on; replaced in tests."""

    openStream: Callable[[Any, Listener, StreamFactory], IListeningPort] = openStream
    openDatagrams: Callable[[Any, Listener, DatagramService], IListeningPort] = openDatagrams
    hasIPv6: Callable[[], bool] = hasIPv6
    pickPort: Callable[[Sequence[str]], int] = pickPort
    complain: Callable[[str], None] = complain


def _acceptWaiting(port: Any) -> None:
    """
    Take the connections that the kernel holds for us, which it would reset when the port is closed, with all that
    their clients have sent; and the datagrams. Bounded: a stream port takes more at every turn, 20
    turns take more than the longest backlog.
    """
    if IReadDescriptor.providedBy(port):
        for _ in range(20):
            port.doRead()


def _errno(error: Exception) -> int:
    """The number of the OSError that ``error`` is or has; 0 where there is none."""
    return getattr(getattr(error, "socketError", error), "errno", None) or 0


def whyNot(listener: Listener, error: Exception) -> str:
    """One line: which listener, what went wrong, what to do."""
    cause = getattr(error, "socketError", error)
    reason = getattr(cause, "strerror", None) or str(cause)
    remedy = _REMEDIES.get(_errno(error))
    return f"{listener.service} cannot listen on {listener.where}: {reason}" + (
        f"; {remedy}" if remedy else ""
    )


class EchoprotoService(Service):
    """
    Echo and greeting on any number of listeners.

    :param reactor: runs them.
    :param listeners: what to listen on.
    :param greeting: what the greeting service answers.
    :param datagramRate: datagrams per second that one source may have answered; 0 for no limit.
    :param machine: how sockets are opened.
    """

    name = "echoproto"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        listeners: Sequence[Listener],
        greeting: bytes = SERVER_GREETING,
        datagramRate: float = DATAGRAM_RATE,
        machine: Machine | None = None,
    ) -> None:
        self._reactor = reactor
        self._listeners = list(listeners)
        self._greeting = greeting
        self._admission = DatagramAdmission(reactor.seconds, datagramRate)
        self._machine = machine if machine is not None else Machine()
        self._open: list[tuple[Listener, IListeningPort]] = []
        self._factories: list[StreamFactory] = []

    def privilegedStartService(self) -> None:
        """
        Open every listener, while we may still open low ports.

        :raise CannotStart: one of them cannot be opened; then none is.
        """
        Service.privilegedStartService(self)
        self._factories = []
        self._openAll(PICKS)
        # Said when the reactor runs: who waits for these lines may send a signal or a client at once.
        self._reactor.callWhenRunning(self._announce)

    def startService(self) -> None:
        """Start; opens the listeners where ``privilegedStartService`` was not called (``twist`` does not)."""
        if not self._open:
            self.privilegedStartService()
        Service.startService(self)

    def stopService(self) -> Deferred[None]:
        """
        Close the listeners and drain what is open.

        :return: fires with ``None`` when nothing is left, at the latest after
            :data:`echoproto.sweep.DRAIN_TIMEOUT` seconds.
        """
        Service.stopService(self)
        opened, self._open = self._open, []
        for _, port in opened:
            _acceptWaiting(port)
        ending: list[Deferred[Any]] = [self._close(*each) for each in opened]
        # Kept until the next start, so that a second stop waits for the same drains.
        ending += [factory.drain() for factory in self._factories]
        return gatherResults(ending).addCallback(lambda _: None)

    def _close(self, listener: Listener, port: IListeningPort) -> Deferred[Any]:
        """Close a port; a failure, such as a UNIX socket's file that is gone, must not cut the drain."""

        def failed(failure: Failure) -> None:
            self._log.error(
                "{service} did not close {where} cleanly: {reason}",
                service=listener.service,
                where=listener.where,
                reason=failure.getErrorMessage(),
            )

        return maybeDeferred(port.stopListening).addErrback(failed)

    def _openAll(self, picks: int) -> None:
        picked: dict[tuple[str, int], int] = {}
        before: Counter[Listener] = Counter()
        for asked in self._available():
            listener = asked
            try:
                if asked.port == 0:
                    # The n-th bare 0 of a service is one port for all its listeners.
                    listener = self._placed(asked, picked, before[asked])
                    before[asked] += 1
                self._open.append((listener, self._listen(listener)))
            except LISTEN_ERRORS as error:
                self._abandon()
                if asked.port == 0 and _errno(error) == EADDRINUSE and picks > 1:
                    return self._openAll(picks - 1)
                if asked.port == 0 and isinstance(error, CannotListenError):
                    # Picking a port tries all addresses at once: name the one that cannot be had.
                    listener = replace(listener, interface=str(error.interface))
                message = whyNot(listener, error)
                self._machine.complain(message)
                raise CannotStart(message, said=True) from None

    def _announce(self) -> None:
        for listener, port in self._open:
            self._log.info(
                "{service} is listening on {carrier} {address}",
                service=listener.service,
                carrier=listener.carrier,
                address=addressText(port.getHost()),
            )

    def _available(self) -> list[Listener]:
        """The listeners to open: without the optional ones where the machine has no IPv6."""
        if self._machine.hasIPv6():
            return self._listeners
        return [listener for listener in self._listeners if not listener.optional]

    def _placed(
        self, listener: Listener, picked: dict[tuple[str, int], int], number: int
    ) -> Listener:
        key = (listener.service, number)
        if key not in picked:
            same = {each.interface for each in self._available() if each.port == 0}
            picked[key] = self._machine.pickPort(sorted(same))
        return listener.at(picked[key])

    def _listen(self, listener: Listener) -> IListeningPort:
        observer = LogObserver(f"{listener.service} on {listener.where}", self._log)
        if listener.carrier == "udp":
            port = self._machine.openDatagrams(
                self._reactor, listener, self._datagrams(listener, observer)
            )
        else:
            factory = self._streams(listener, observer)
            port = self._machine.openStream(self._reactor, listener, factory)
            self._factories.append(factory)
        return port

    def _streams(self, listener: Listener, observer: IObserver) -> StreamFactory:
        if listener.service == "greeting":
            return GreetingFactory(self._reactor, observer, self._greeting)
        return EchoFactory(self._reactor, observer)

    def _datagrams(self, listener: Listener, observer: IObserver) -> DatagramService:
        if listener.service == "greeting":
            return GreetingDatagrams(self._reactor, observer, self._admission, self._greeting)
        return EchoDatagrams(self._reactor, observer, self._admission)

    def _abandon(self) -> None:
        # The reactor does not run yet, so a Deferred of stopListening() would never fire:
        # do now what it would do later, for a UNIX socket leaves a file behind.
        opened, self._open = self._open, []
        for _, port in opened:
            cast(Any, port).connectionLost(Failure(ConnectionDone()))
        self._factories.clear()
