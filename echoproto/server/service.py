"""
The running server as a Twisted service: opens every listener or none, and drains them when stopped.

Made by :mod:`echoproto.server.options`; may as well be added to any ``MultiService``. How it reaches the
machine is passed in (:mod:`echoproto.server.opening`), so that its tests need no socket.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from errno import EADDRINUSE
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from echoproto.admission import DATAGRAM_RATE, DatagramAdmission
from echoproto.datagrams import DatagramService
from echoproto.echo import EchoDatagrams, EchoFactory
from echoproto.errors import CannotStart
from echoproto.greeting import SERVER_GREETING, GreetingDatagrams, GreetingFactory
from echoproto.observer import IObserver
from echoproto.server.descriptions import Listener
from echoproto.server.log import LogObserver, addressText
from echoproto.server.opening import LISTEN_ERRORS, Machine, errnoOf, whyNot
from echoproto.streams import StreamFactory

#: How often a port is picked for a bare 0: another program may take it before we have it on all carriers.
PICKS = 20


@dataclass(frozen=True)
class _Open:
    """A listener that is open, its port, and for streams the factory to be drained."""

    listener: Listener
    port: IListeningPort
    factory: StreamFactory | None = None


def _acceptWaiting(port: Any) -> None:
    """
    Take the connections that the kernel holds for us, which it would reset when the port is closed, with all that
    their clients have sent; and the datagrams. Bounded: a stream port takes more at every turn, 20
    turns take more than the longest backlog.
    """
    if IReadDescriptor.providedBy(port):
        for _ in range(20):
            port.doRead()


class EchoprotoService(Service):
    """
    Echo and greeting on any number of listeners.

    :param reactor: runs them.
    :param groups: what to listen on: for each option, or whatever asked, its listeners.
    :param greeting: what the greeting service answers.
    :param datagramRate: datagrams per second that one source may have answered; 0 for no limit.
    :param machine: how sockets are opened.
    """

    name = "echoproto"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        groups: Sequence[Sequence[Listener]],
        greeting: bytes = SERVER_GREETING,
        datagramRate: float = DATAGRAM_RATE,
        machine: Machine | None = None,
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._greeting = greeting
        self._admission = DatagramAdmission(reactor.seconds, datagramRate)
        self._machine = machine if machine is not None else Machine()
        self._open: list[_Open] = []
        self._draining: list[StreamFactory] = []

    def privilegedStartService(self) -> None:
        """
        Open every listener, while we may still open low ports.

        :raise CannotStart: one of them cannot be opened; then none is.
        """
        Service.privilegedStartService(self)
        self._draining = []
        hasIPv6 = self._machine.hasIPv6()
        for group in self._groups:
            self._openGroup([each for each in group if hasIPv6 or not each.optional], PICKS)
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
        for each in opened:
            _acceptWaiting(each.port)
        ending: list[Deferred[Any]] = [self._close(each) for each in opened]
        # Kept until the next start, so that a second stop waits for the same drains.
        self._draining += [each.factory for each in opened if each.factory is not None]
        ending += [factory.drain() for factory in self._draining]
        return gatherResults(ending).addCallback(lambda _: None)

    def _close(self, opened: _Open) -> Deferred[Any]:
        """Close a port; a failure, such as a UNIX socket's file that is gone, must not cut the drain."""

        def failed(failure: Failure) -> None:
            self._log.error(
                "{service} did not close {where} cleanly: {reason}",
                service=opened.listener.service,
                where=opened.listener.where,
                reason=failure.getErrorMessage(),
            )

        return maybeDeferred(opened.port.stopListening).addErrback(failed)

    def _openGroup(self, group: Sequence[Listener], picks: int) -> None:
        """Open what one option asks for; on one port where it asks for port 0."""
        before = len(self._open)
        listener = group[0]
        try:
            for listener in self._placed(group):
                self._open.append(self._listen(listener))
        except LISTEN_ERRORS as error:
            self._abandon(before)
            if group[0].port == 0 and errnoOf(error) == EADDRINUSE and picks > 1:
                return self._openGroup(group, picks - 1)
            self._abandon(0)
            if group[0].port == 0 and isinstance(error, CannotListenError):
                # Picking a port tries all addresses at once: name the one that cannot be had.
                listener = replace(listener, interface=str(error.interface))
            message = whyNot(listener, error)
            self._machine.complain(message)
            raise CannotStart(message, said=True) from None

    def _placed(self, group: Sequence[Listener]) -> Sequence[Listener]:
        if group[0].port != 0:
            return group
        interfaces = list(dict.fromkeys(each.interface for each in group))
        port = self._machine.pickPort(interfaces)
        return [each.at(port) for each in group]

    def _announce(self) -> None:
        for each in self._open:
            self._log.info(
                "{service} is listening on {carrier} {address}",
                service=each.listener.service,
                carrier=each.listener.carrier,
                address=addressText(each.port.getHost()),
            )

    def _listen(self, listener: Listener) -> _Open:
        observer = LogObserver(f"{listener.service} on {listener.where}", self._log)
        if listener.carrier == "udp":
            service = self._datagrams(listener, observer)
            port = self._machine.openDatagrams(self._reactor, listener, service)
            return _Open(listener, port)
        factory = self._streams(listener, observer)
        port = self._machine.openStream(self._reactor, listener, factory)
        return _Open(listener, port, factory)

    def _streams(self, listener: Listener, observer: IObserver) -> StreamFactory:
        if listener.service == "greeting":
            return GreetingFactory(self._reactor, observer, self._greeting)
        return EchoFactory(self._reactor, observer)

    def _datagrams(self, listener: Listener, observer: IObserver) -> DatagramService:
        if listener.service == "greeting":
            return GreetingDatagrams(self._reactor, observer, self._admission, self._greeting)
        return EchoDatagrams(self._reactor, observer, self._admission)

    def _abandon(self, first: int) -> None:
        """Close what was opened from ``first`` on."""
        # The reactor does not run yet, so a Deferred of stopListening() would never fire:
        # do now what it would do later, for a UNIX socket leaves a file behind.
        while len(self._open) > first:
            port: Any = self._open.pop().port
            port.connectionLost(Failure(ConnectionDone()))
