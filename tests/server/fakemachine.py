"""A platform that opens nothing, for the tests of the running program."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from os import strerror
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer
from zope.interface.verify import verifyClass

from echoproto.processes.resources import Limit
from echoproto.server.config.listener import Listener
from echoproto.server.listeners.ports import Platform


def failed(number: int) -> OSError:
    """An error of the kernel."""
    return OSError(number, strerror(number))


@implementer(IListeningPort)
class FakePort:
    """A listening port that records how it was closed."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.closed = ""
        self.stopError: OSError | None = None
        self.connected = True
        self.disconnecting = False
        self.reading = True
        self.numberAccepts = 100
        self.onRead: Callable[[], None] = lambda: None

    def startListening(self) -> None:
        raise NotImplementedError

    def doRead(self) -> None:
        self.onRead()

    def stopReading(self) -> None:
        self.reading = False

    def startReading(self) -> None:
        self.reading = True

    def stopListening(self) -> Deferred[None]:
        self.closed = "stopped"
        self.disconnecting = True
        return succeed(None) if self.stopError is None else fail(self.stopError)

    def connectionLost(self, reason: Any) -> None:
        self.closed = "abandoned"

    def getHost(self) -> Any:
        make = IPv6Address if ":" in self.listener.interface else IPv4Address
        return make("TCP", self.listener.interface, self.listener.port or 0)


verifyClass(IListeningPort, FakePort)


class FakeMachine:
    """Opens nothing and records all calls; fails for the listeners in ``failing``."""

    def __init__(self, ipv6: bool = True) -> None:
        self.ipv6 = ipv6
        self.opened: list[tuple[FakePort, Any]] = []
        self.failing: dict[str, Exception] = {}
        self.picked: list[list[str]] = []
        self.noPort: Exception | None = None
        self.complaints: list[str] = []
        self.descriptors = 1024
        self.number = 2
        self.calls: list[str] = []
        self.onFurtherStop: Callable[[], object]
        self.signals: dict[int, Callable[[], object]] = {}

    def open(self, reactor: Any, listener: Listener, serving: Any) -> IListeningPort:
        for part, error in self.failing.items():
            if part in listener.description:
                raise error
        port = FakePort(listener)
        self.opened.append((port, serving))
        return port

    def pickPort(self, interfaces: Any) -> int:
        if self.noPort is not None:
            raise self.noPort
        self.picked.append(list(interfaces))
        return 40_000 + len(self.picked)

    def onSignal(
        self, reactor: Any, number: int, act: Callable[[], object]
    ) -> Callable[[], object]:
        before = dict(self.signals)
        self.signals[number] = act

        def restore() -> None:
            self.signals.pop(number)
            self.signals.update({n: a for n, a in before.items() if n == number})

        return restore

    def postponeStop(self, reactor: Any, onFurther: Callable[[], object]) -> None:
        self.calls.append("postponeStop")
        self.onFurtherStop = onFurther

    def machine(self) -> Platform:
        return Platform(
            self.open,
            self.open,
            lambda: self.ipv6,
            self.pickPort,
            self.complaints.append,
            lambda: Limit(self.descriptors, "RLIMIT_NOFILE"),
            lambda: Limit(inf, "RLIMIT_AS"),
            self.onSignal,
            self.postponeStop,
            lambda: self.calls.append("ignoreRotation"),
            lambda: self.number,
        )
