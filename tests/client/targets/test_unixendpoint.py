from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from echoproto.client.targets.unixendpoint import (
    FIRST_RETRY,
    LONGEST_RETRY,
    QUEUE_FULL,
    PatientUNIXEndpoint,
)


@implementer(IStreamClientEndpoint)
class QueueEndpoint:
    """Keeps its attempts."""

    def __init__(self) -> None:
        self.attempts: list[Deferred[Any]] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        self.attempts.append(Deferred())
        return self.attempts[-1]

    def isFull(self) -> None:
        """The last attempt fails as in Twisted if the queue is full."""
        self.attempts[-1].errback(ConnectError(string=Failure(ConnectionDone())))


class PatientUNIXEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint = QueueEndpoint()
        patient = PatientUNIXEndpoint(self.clock, self.endpoint)
        self.connected = patient.connect(Factory.forProtocol(Protocol))

    def tearDown(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connected(self) -> None:
        """A connection that is made at once is that of the endpoint."""
        protocol = Protocol()
        self.endpoint.attempts[0].callback(protocol)
        self.assertIs(self.successResultOf(self.connected), protocol)

    def test_queueFull(self) -> None:
        """While the queue is full it attempts again, more and more slowly."""
        for number in range(1, 8):
            self.endpoint.isFull()
            self.assertNoResult(self.connected)
            self.clock.advance(min(FIRST_RETRY * 2 ** (number - 1), LONGEST_RETRY))
            self.assertEqual(len(self.endpoint.attempts), number + 1)
        protocol = Protocol()
        self.endpoint.attempts[-1].callback(protocol)
        self.assertIs(self.successResultOf(self.connected), protocol)

    def test_refused(self) -> None:
        """Other failures are those of the endpoint."""
        for error in (ConnectionRefusedError(), ConnectError(2, "No such file"), ConnectError()):
            self.setUp()
            self.endpoint.attempts[0].errback(error)
            self.assertIs(self.failureResultOf(self.connected).value, error)

    def test_cancelled(self) -> None:
        """Cancelled during the first attempt, that is cancelled."""
        self.connected.cancel()
        self.assertTrue(self.endpoint.attempts[0].called)
        self.assertEqual(str(self.failureResultOf(self.connected, CancelledError).value), "")

    def test_cancelledWhileFull(self) -> None:
        """Cancelled later, the reason is that the queue is full."""
        for isWaiting in (True, False):
            self.setUp()
            self.endpoint.isFull()
            if not isWaiting:
                self.clock.advance(FIRST_RETRY)
            self.connected.cancel()
            failure = self.failureResultOf(self.connected, CancelledError)
            self.assertEqual(str(failure.value), QUEUE_FULL)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertTrue(self.endpoint.attempts[-1].called)
