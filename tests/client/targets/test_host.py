from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectBindError, ConnectionRefusedError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import LOOKUP_LIFETIME
from echoproto.client.targets.host import (
    ATTEMPT_DELAY,
    HostEndpoint,
    HostTarget,
    ResolvedHost,
    RotatedHost,
)
from echoproto.errors import ConnectionClosed


class ResolvedHostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lookups: list[Deferred[Any]] = []

    def lookUp(self) -> Deferred[Any]:
        self.lookups.append(Deferred())
        return self.lookups[-1]

    def test_numeric(self) -> None:
        """A host without a lookup keeps its addresses."""
        host = ResolvedHost(["192.0.2.1"])
        host.refresh()
        self.assertEqual((host.address, host.addresses), ("192.0.2.1", ("192.0.2.1",)))

    def test_refresh(self) -> None:
        """A name is looked up again after a second, once at a time, and its addresses replaced."""
        host = ResolvedHost(["192.0.2.1"], self.clock, self.lookUp)
        host.refresh()
        self.assertEqual(self.lookups, [])
        self.clock.advance(LOOKUP_LIFETIME)
        for _ in range(3):
            host.refresh()
        self.assertEqual((len(self.lookups), host.address), (1, "192.0.2.1"))
        self.lookups[0].callback(["192.0.2.2"])
        self.assertEqual(host.addresses, ("192.0.2.2",))

    def test_lifetime(self) -> None:
        """The addresses may be used for longer; lookups that fail are counted."""
        host = ResolvedHost(["192.0.2.1"], self.clock, self.lookUp, 60.0)
        for seconds, lookups in ((59, 0), (1, 1)):
            self.clock.advance(seconds)
            host.refresh()
            self.assertEqual(len(self.lookups), lookups)
        self.lookups[0].errback(DNSLookupError())
        self.assertEqual((host.failedLookups, host.address), (1, "192.0.2.1"))

    def test_sameAddresses(self) -> None:
        """The same addresses in another order do not change the one in use; nor does a failure."""
        host = ResolvedHost(["192.0.2.1", "192.0.2.2"], self.clock, self.lookUp)
        host.prefer("192.0.2.2")
        for answer in (["192.0.2.1", "192.0.2.2"], DNSLookupError()):
            self.clock.advance(LOOKUP_LIFETIME)
            host.refresh()
            end = self.lookups[-1]
            end.callback(Failure(answer) if isinstance(answer, Exception) else answer)
            self.assertEqual(host.addresses, ("192.0.2.2", "192.0.2.1"))


class RotatedHostTests(SynchronousTestCase):
    def test_take(self) -> None:
        """Every connection begins with the next address, whichever has answered before."""
        host = RotatedHost(["a", "b", "c"], turn=2)
        taken = []
        for _ in range(3):
            taken.append("".join(host.take()))
            host.prefer("b")
        self.assertEqual(taken, ["cab", "abc", "bca"])


class HostEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts: list[tuple[str, Deferred[Any]]] = []
        self.answers: dict[str, Any] = {}
        self.host = ResolvedHost(["::1", "127.0.0.1", "127.0.0.2"])

    def connect(self) -> Deferred[Any]:
        test = self

        class Endpoint:
            def __init__(self, address: str) -> None:
                self._address = address

            def connect(self, factory: Any) -> Deferred[Any]:
                attempt: Deferred[Any] = test.answers.get(self._address, Deferred)()
                test.attempts.append((self._address, attempt))
                return attempt

        made: Any = HostEndpoint(self.clock, self.host, Endpoint)  # type: ignore[arg-type]
        connecting: Deferred[Any] = made.connect(object())
        return connecting

    def refuse(self, *addresses: str) -> None:
        for address in addresses:
            self.answers[address] = lambda: fail(ConnectionRefusedError())

    @property
    def attempted(self) -> list[str]:
        return [address for address, _ in self.attempts]

    def test_second(self) -> None:
        """If the first address refuses, the second is attempted at once, and preferred later."""
        self.refuse("::1")
        self.answers["127.0.0.1"] = lambda: succeed("connected")
        self.assertEqual(self.successResultOf(self.connect()), "connected")
        self.assertEqual(self.host.addresses, ("127.0.0.1", "::1", "127.0.0.2"))
        self.successResultOf(self.connect())
        self.assertEqual(self.attempted, ["::1", "127.0.0.1", "127.0.0.1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """If an address is silent, the next is attempted too; the first success ends the others."""
        connecting = self.connect()
        self.clock.advance(ATTEMPT_DELAY)
        self.clock.advance(ATTEMPT_DELAY)
        self.assertEqual(self.attempted, ["::1", "127.0.0.1", "127.0.0.2"])
        self.attempts[1][1].callback("connected")
        self.assertEqual(self.successResultOf(connecting), "connected")
        for index in (0, 2):
            self.assertTrue(self.attempts[index][1].called)
        self.assertEqual((self.host.address, self.clock.getDelayedCalls()), ("127.0.0.1", []))

    def test_allRefuse(self) -> None:
        """If all fail for one reason, it is that of the first."""
        self.refuse(*self.host.addresses)
        self.failureResultOf(self.connect(), ConnectionRefusedError)

    def test_allFail(self) -> None:
        """If they fail for different reasons, the error has them all."""
        self.refuse("::1", "127.0.0.2")
        connecting = self.connect()
        self.assertNoResult(connecting)
        self.attempts[1][1].errback(ConnectTimeout())
        error = self.failureResultOf(connecting, ConnectionClosed).value
        for text in ("::1: refused: nothing listens", "127.0.0.1: User timeout", "127.0.0.2: ref"):
            self.assertIn(text, str(error))

    def test_last(self) -> None:
        """The connection fails only when the last attempt has failed."""
        connecting = self.connect()
        self.clock.advance(ATTEMPT_DELAY)
        self.attempts[0][1].errback(ConnectionRefusedError())
        self.attempts[2][1].errback(ConnectionRefusedError())
        self.assertNoResult(connecting)
        self.attempts[1][1].errback(ConnectionRefusedError())
        self.failureResultOf(connecting, ConnectionRefusedError)

    def test_unexpected(self) -> None:
        """An error other than a failed connection is not hidden by other attempts."""
        self.refuse("::1", "127.0.0.1")
        self.answers["127.0.0.2"] = lambda: fail(OverflowError())
        self.failureResultOf(self.connect(), OverflowError)
        self.host = ResolvedHost(["::1"])
        self.answers["::1"] = lambda: fail(ConnectBindError())
        self.failureResultOf(self.connect(), ConnectBindError)

    def test_cancelled(self) -> None:
        """Cancelling ends all attempts."""
        connecting = self.connect()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(self.attempts[0][1].called)
        self.assertEqual((len(self.attempts), self.clock.getDelayedCalls()), (1, []))


class HostTargetTests(SynchronousTestCase):
    def test_name(self) -> None:
        """A target has its own name, or one by the address in use; a UNIX socket has no address."""
        host = ResolvedHost(["192.0.2.1", "192.0.2.2"])
        renamed, plain = HostTarget("lab1", host, "tcp://{}".format), HostTarget("lab1", host)
        host.prefer("192.0.2.2")
        self.assertEqual((renamed.name, plain.name), ("tcp://192.0.2.2", "lab1"))
        self.assertEqual(
            (plain.address, HostTarget("x", ResolvedHost(())).address), ("192.0.2.2", "")
        )
