from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.reactors.lookups import abandonLookupsAtEnd


class ThreadedReactor(MemoryReactorClock):
    """Collects the calls from threads."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.resolver: Any = None
        self.called = threading.Event()

    # Twisted's own has it only in newer versions.
    def installNameResolver(self, resolver: Any) -> Any:
        self.resolver = resolver

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        self.calls.append((call, arguments, threading.current_thread().daemon))
        self.called.set()


@implementer(IResolutionReceiver)
class Receiver:
    """Collects the addresses of a name."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.done: Deferred[None] = Deferred()

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        pass

    def addressResolved(self, address: Any) -> None:
        self.hosts.append(address.host)

    def resolutionComplete(self) -> None:
        self.done.callback(None)


class LookupTests(SynchronousTestCase):
    def test_daemon(self) -> None:
        """Names are looked up in threads that the end of the process does not wait for."""
        reactor, receiver = ThreadedReactor(), Receiver()
        abandonLookupsAtEnd(reactor)
        reactor.resolver.resolveHostName(receiver, "127.0.0.1")
        self.assertTrue(reactor.called.wait(120))
        [(call, arguments, isDaemon)] = reactor.calls
        self.assertTrue(isDaemon)
        call(*arguments)
        self.successResultOf(receiver.done)
        self.assertEqual(set(receiver.hosts), {"127.0.0.1"})
